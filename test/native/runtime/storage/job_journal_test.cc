// Jobs as rows of a real file, and back.
#include "runtime/storage/job_journal.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace sluice {
namespace {

namespace fs = std::filesystem;

class JobJournalTest : public testing::Test {
 protected:
  JobJournalTest() {
    std::string name = (fs::temp_directory_path() / "sluice-journal-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    file_ = StoreFile::open((folder_ / "data.db").string(), StoreFile::Mode::kWrite).file;
    write({{file_->statement("add_job"),
            {std::int64_t{1}, "job_1", "me", "demo", std::int64_t{0}, std::monostate{},
             std::monostate{}, std::int64_t{3}, std::monostate{}}}});
  }
  ~JobJournalTest() override {
    file_.reset();
    fs::remove_all(folder_);
  }

  void write(const StoreBatch& batch) { ASSERT_EQ(file_->write({&batch}), StoreStatus::kOk); }
  void write(JobChange change) {
    std::vector<JobChange> changes;
    changes.push_back(std::move(change));
    write(batch_of(std::move(changes), 5000));
  }

  static JobChange tokens(std::uint64_t attempt, std::uint64_t seq, std::string text,
                          std::vector<std::uint32_t> ends) {
    JobChange change;
    change.record = 1;
    change.attempt = attempt;
    change.tokens = {seq, std::move(text), std::move(ends)};
    return change;
  }

  [[nodiscard]] std::vector<StoreRow> rows(std::string_view name, const StoreRow& values = {}) {
    std::vector<StoreRow> found;
    EXPECT_EQ(file_->select(file_->statement(name), values, found), StoreStatus::kOk);
    return found;
  }

  // The tokens of an attempt, as a start reads them.
  [[nodiscard]] TokenRun read(std::int64_t attempt) {
    TokenRun run;
    for (const StoreRow& row : rows("tokens", {std::int64_t{1}, attempt})) {
      EXPECT_TRUE(append_run(run, std::get<std::int64_t>(row[0]), std::get<StoreBlob>(row[2]).bytes,
                             std::get<StoreBlob>(row[3]).bytes));
    }
    return run;
  }

  fs::path folder_;
  std::unique_ptr<StoreFile> file_;
};

TEST_F(JobJournalTest, JoinsRunsOfTokens) {
  write(tokens(1, 1, "a\xc3\xa4", {1, 3}));
  write(tokens(1, 3, "", {0}));
  write(tokens(1, 4, std::string(70'000, 'x'), {70'000}));
  const TokenRun run = read(1);
  EXPECT_EQ(run.first_seq, 1u);
  EXPECT_EQ(run.text, "a\xc3\xa4" + std::string(70'000, 'x'));
  EXPECT_EQ(run.ends, (std::vector<std::uint32_t>{1, 3, 3, 70'003}));
}

TEST_F(JobJournalTest, RemovesWhatWasTrimmedAndEarlierAttempts) {
  write(tokens(1, 1, "old", {3}));
  JobChange next = tokens(2, 1, "abc", {1, 2, 3});
  next.trims = true;
  write(std::move(next));
  write(tokens(2, 4, "d", {1}));
  EXPECT_TRUE(read(1).ends.empty());
  EXPECT_EQ(read(2).text, "abcd");
  JobChange trims = tokens(2, 5, "e", {1});
  trims.trims = true;
  trims.trimmed = 3;
  write(std::move(trims));
  EXPECT_EQ(read(2).first_seq, 4u);
  EXPECT_EQ(read(2).text, "de");
}

TEST_F(JobJournalTest, WritesAnEnding) {
  JobChange change = tokens(1, 1, "t", {1});
  change.spans = {.started = 10, .first_token = kNever, .ended = 30};
  change.terminal.emplace();
  change.terminal->kind = Terminal::Kind::kError;
  change.terminal->error_code = "provider_error";
  change.terminal->error_message = "no";
  change.terminal->error_type = "provider_error";
  change.terminal->usage = Usage{1, 2};
  write(std::move(change));
  std::vector<StoreRow> jobs = rows("jobs");
  ASSERT_EQ(jobs.size(), 1u);
  // Up to `skipped_ids`: later columns are no part of an ending.
  constexpr std::size_t kColumns = 22;
  ASSERT_GE(jobs[0].size(), kColumns);
  jobs[0].resize(kColumns);
  const std::monostate null;
  EXPECT_EQ(jobs[0], (StoreRow{std::int64_t{1},
                               std::string("job_1"),
                               std::string("me"),
                               std::string("demo"),
                               std::int64_t{0},
                               null,
                               null,
                               std::int64_t{3},
                               std::int64_t{1},
                               std::int64_t{10},
                               null,
                               std::int64_t{30},
                               std::int64_t{5000},
                               std::string("failed"),
                               null,
                               std::string("provider_error"),
                               std::string("no"),
                               std::string("provider_error"),
                               std::int64_t{1},
                               std::int64_t{2},
                               null,
                               std::int64_t{0}}));
}

TEST_F(JobJournalTest, LeavesNothingOfAJobThatIsDropped) {
  write(tokens(1, 1, "t", {1}));
  JobChange dropped;
  dropped.record = 1;
  dropped.dropped = true;
  write(std::move(dropped));
  write(tokens(1, 2, "late", {4}));
  EXPECT_TRUE(rows("jobs").empty());
  EXPECT_TRUE(read(1).ends.empty());
}

TEST(TokenRunRows, RefusesWhatDoesNotFit) {
  const std::string one("\1\0\0\0", 4);
  TokenRun run;
  EXPECT_FALSE(append_run(run, 0, "a", one));                         // ids begin at 1
  EXPECT_FALSE(append_run(run, 1, "a", one.substr(1)));               // half an offset
  EXPECT_FALSE(append_run(run, 1, "ab", one));                        // text that is nobody's
  EXPECT_FALSE(append_run(run, 1, "a", std::string("\2\0\0\0", 4)));  // beyond the text
  EXPECT_FALSE(append_run(run, 1, "a", std::string("\1\0\0\0\0\0\0\0", 8)));  // backwards
  EXPECT_TRUE(run.ends.empty());
  EXPECT_TRUE(append_run(run, 5, "a", one));
  EXPECT_FALSE(append_run(run, 7, "a", one));  // a hole
  EXPECT_TRUE(append_run(run, 6, "b", one));
  EXPECT_EQ(run.first_seq, 5u);
  EXPECT_EQ(run.text, "ab");
}

}  // namespace
}  // namespace sluice
