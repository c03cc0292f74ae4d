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
    change.tokens.first_seq = seq;
    change.tokens.text = std::move(text);
    change.tokens.ends = std::move(ends);
    return change;
  }

  [[nodiscard]] std::vector<StoreRow> rows(std::string_view name, const StoreRow& values = {}) {
    std::vector<StoreRow> found;
    EXPECT_EQ(file_->select(file_->statement(name), values, found), StoreStatus::kOk);
    return found;
  }

  // The tokens of an attempt, as read at a start.
  [[nodiscard]] TokenRun read(std::int64_t attempt) {
    TokenRun run;
    const auto bytes = [](const StoreValue& value) {
      const auto* blob = std::get_if<StoreBlob>(&value);
      return blob == nullptr ? std::string_view() : std::string_view(blob->bytes);
    };
    for (const StoreRow& row : rows("tokens", {std::int64_t{1}, attempt})) {
      EXPECT_TRUE(append_run(run, {.seq = std::get<std::int64_t>(row[0]),
                                   .text = bytes(row[2]),
                                   .ends = bytes(row[3]),
                                   .kinds = bytes(row[4]),
                                   .aux = bytes(row[5])}));
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

TEST_F(JobJournalTest, JoinsRunsOfEveryKind) {
  EventLog log(1 << 20);
  const auto write_from = [&](std::uint64_t seq) {
    JobChange change;
    change.record = 1;
    change.tokens = log.copy_from(seq);
    write(std::move(change));
  };
  log.append("plain");
  write_from(1);
  log.append({.kind = EntryKind::kToolCall, .text = "call_a", .aux = "f"});
  log.append({.kind = EntryKind::kToolArguments, .text = "{}"});
  write_from(2);
  log.append("more");
  write_from(4);
  log.append({.text = "Hi", .aux = R"([{"token":"Hi"}])"});
  log.append({.kind = EntryKind::kToolCall, .text = "call_b", .aux = "g"});
  write_from(5);
  const TokenRun written = read(1);
  const TokenRun whole = log.copy_from(1);
  EXPECT_EQ(written.text, whole.text);
  EXPECT_EQ(written.ends, whole.ends);
  EXPECT_EQ(written.kinds, whole.kinds);
  EXPECT_EQ(written.aux, whole.aux);
  EXPECT_EQ(written.aux_ends, whole.aux_ends);
  EXPECT_EQ(written.calls_before, 0u);

  // After a trim the record begins with text; the calls continue from the second.
  JobChange trims;
  trims.record = 1;
  trims.trims = true;
  trims.trimmed = 3;
  write(std::move(trims));
  const TokenRun rest = read(1);
  EXPECT_EQ(rest.first_seq, 4u);
  EXPECT_EQ(rest.calls_before, 1u);
  EventLog restored(1 << 20);
  restored.restore(1, rest);
  EXPECT_EQ(restored.read({1, 6}).call, 1u);
}

TEST_F(JobJournalTest, RemovesTrimmedEntriesAndEarlierAttempts) {
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
  // Up to `skipped_ids`: later columns do not belong to an ending.
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

TEST_F(JobJournalTest, WritesUsageRawReasonHeadAndRetryAsTheyAre) {
  const auto last_columns = [this] {
    const StoreRow row = rows("jobs").at(0);
    constexpr std::ptrdiff_t kBefore = 23;  // up to `extra`
    return StoreRow(row.begin() + kBefore, row.begin() + kBefore + 5);
  };
  const std::monostate null;
  EXPECT_EQ(last_columns(), (StoreRow{null, null, null, null, std::int64_t{0}}));
  JobChange moved;
  moved.record = 1;
  moved.moved = true;
  moved.head = {.model = "m-1", .service_tier = "flex"};
  moved.retry_members = R"({"upstream":"b"})";
  moved.whole = true;
  write(moved);
  const std::string head = R"({"model":"m-1","service_tier":"flex"})";
  EXPECT_EQ(last_columns(), (StoreRow{null, null, head, moved.retry_members, std::int64_t{1}}));
  JobChange ends = moved;
  ends.terminal.emplace();
  ends.terminal->raw_reason = "eos";
  ends.terminal->usage = Usage{.prompt_tokens = 1, .completion_tokens = 2, .estimated = true};
  write(ends);
  const std::string counts =
      R"({"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"estimated":true})";
  EXPECT_EQ(last_columns(),
            (StoreRow{counts, std::string("eos"), head, moved.retry_members, std::int64_t{1}}));
  ends.terminal->usage->raw = R"({"prompt_tokens":1,"x":1.0})";
  write(ends);
  EXPECT_EQ(last_columns().at(0), StoreValue(ends.terminal->usage->raw));
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

TEST(TokenRunRows, RefusesInconsistentRows) {
  const std::string one("\1\0\0\0", 4);
  const std::string two("\2\0\0\0", 4);
  const std::string none(4, '\0');
  TokenRun run;
  const auto refuses = [&run](const TokenRow& row) { return !append_run(run, row); };
  EXPECT_TRUE(refuses({.seq = 0, .text = "a", .ends = one})) << "ids begin at 1";
  EXPECT_TRUE(refuses({.seq = 1, .text = "a", .ends = one.substr(1)})) << "half an offset";
  EXPECT_TRUE(refuses({.seq = 1, .text = "ab", .ends = one})) << "text of no token";
  EXPECT_TRUE(refuses({.seq = 1, .text = "a", .ends = two})) << "beyond the text";
  EXPECT_TRUE(refuses({.seq = 1, .text = "a", .ends = one + none})) << "backwards";

  TokenRow typed{.seq = 1, .text = "a", .ends = one};
  const auto refuses_kinds = [&](const std::string& kinds, const std::string& aux) {
    TokenRow row = typed;
    row.kinds = kinds;
    row.aux = aux;
    return refuses(row);
  };
  const auto kind = [&none](char byte) { return none + byte; };
  EXPECT_TRUE(refuses_kinds("", one + "a")) << "aux data of plain text";
  EXPECT_TRUE(refuses_kinds(none, "")) << "no kind for the token";
  EXPECT_TRUE(refuses_kinds(kind(1) + '\1', "")) << "a kind too many";
  EXPECT_TRUE(refuses_kinds(kind(6), "")) << "an unknown kind";
  EXPECT_TRUE(refuses_kinds(kind(16), "")) << "an unknown bit";
  EXPECT_TRUE(refuses_kinds(kind(8), "")) << "no aux data";
  EXPECT_TRUE(refuses_kinds(kind(8), two + "a")) << "half of it";
  EXPECT_TRUE(refuses_kinds(kind(8), one + "ab")) << "more than that";
  EXPECT_TRUE(refuses_kinds(kind(0), one + "a")) << "aux data of a token without it";
  EXPECT_TRUE(run.ends.empty());

  EXPECT_FALSE(refuses({.seq = 5, .text = "a", .ends = one}));
  EXPECT_TRUE(refuses({.seq = 7, .text = "a", .ends = one})) << "a hole";
  EXPECT_FALSE(refuses({.seq = 6, .text = "b", .ends = one}));
  EXPECT_EQ(run.first_seq, 5u);
  EXPECT_EQ(run.text, "ab");
}

}  // namespace
}  // namespace sluice
