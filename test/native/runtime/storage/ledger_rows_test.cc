// A ledger that is written to a file as it changes, and comes about from it again.
#include "runtime/storage/ledger_rows.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <thread>

#include "core/ledger/fixture.h"
#include "runtime/storage/sqlite_store.h"

namespace sluice {
namespace {

namespace fs = std::filesystem;

class LedgerRowsTest : public testing::Test, public LedgerFixture {
 protected:
  LedgerRowsTest() {
    std::string name = (fs::temp_directory_path() / "sluice-ledger-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~LedgerRowsTest() override { fs::remove_all(folder_); }

  [[nodiscard]] std::unique_ptr<StoreFile> open_file() const {
    StoreFile::Opened opened =
        StoreFile::open((folder_ / "data.db").string(), StoreFile::Mode::kWrite);
    EXPECT_EQ(opened.status, StoreStatus::kOk) << opened.detail;
    return std::move(opened.file);
  }

  void keep(SqliteStore& store) {
    ledger.observe(
        [&store](auto events) { store.commit_until_written(batch_of(events), nullptr); });
  }

  // What a file says that holds the events of this ledger, changed.
  std::string problem_with(const std::function<void(LedgerEvent&)>& change) {
    fs::remove(folder_ / "data.db");
    const std::unique_ptr<StoreFile> file = open_file();
    for (LedgerEvent event : journal()) {
      change(event);
      const StoreBatch batch = batch_of(event);
      if (event.id != 0) {
        EXPECT_EQ(file->write({&batch}), StoreStatus::kOk);
      }
    }
    Ledger loaded;
    return load_ledger(*file, loaded);
  }

  fs::path folder_;
};

TEST_F(LedgerRowsTest, IsRestored) {
  {
    SqliteStore store(open_file());
    keep(store);
    open("a");
    open("b", 7);
    EXPECT_EQ(deposit("a", kAmountMax - 7).code, LedgerCode::kOk);
    const LedgerId held = hold("a", 50, 100).event.id;
    hold("a", 60);
    now += 10;
    settle(held, 20);
    transfer("a", "b", 5);
    EXPECT_EQ(transfer("b", "a", 60).code, LedgerCode::kInsufficientFunds);
    const LedgerId scheduled = schedule(now + 30, "a", "b", 1).event.id;
    schedule(now + 40, "b", "a", 1000);
    schedule(now + 5000, "a", "b", 3);
    cancel(scheduled);
    reverse(deposit("b", 9).event.id, true);
    now += 100;
    ledger.advance(now);
  }
  const std::unique_ptr<StoreFile> file = open_file();
  Ledger loaded;
  EXPECT_EQ(load_ledger(*file, loaded), "");
  const auto before = journal();
  const auto after = loaded.journal(0, SIZE_MAX, now);
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(batch_of(after[i])[0].values, batch_of(before[i])[0].values) << "event " << i + 1;
  }
  EXPECT_EQ(balances_of(loaded, now), balances_of(ledger, now));
  EXPECT_EQ(loaded.next_deadline(), ledger.next_deadline());
}

TEST_F(LedgerRowsTest, ContinuesAtItsLastPosition) {
  open("a");
  deposit("a", 10);
  for (int round = 0; round < 3; ++round) {
    const std::unique_ptr<StoreFile> file = open_file();
    Ledger loaded;
    ASSERT_EQ(load_ledger(*file, loaded), "");
    EXPECT_EQ(loaded.last_event(), round == 0 ? 0u : round + 1u);
    if (round == 0) {
      for (const LedgerEvent& event : journal()) {
        const StoreBatch batch = batch_of(event);
        ASSERT_EQ(file->write({&batch}), StoreStatus::kOk);
      }
      continue;
    }
    const auto result =
        loaded.execute(deposit_request("round " + std::to_string(round), "a", 1), now);
    EXPECT_EQ(result.balance.posted, 10 + round);
    const StoreBatch batch = batch_of(result.event);
    ASSERT_EQ(file->write({&batch}), StoreStatus::kOk);
  }
}

TEST_F(LedgerRowsTest, NamesTheImpossibleEvent) {
  open("a");
  deposit("a", 10);
  withdraw("a", 3);
  withdraw("a", 7);
  const auto none = [](LedgerEvent&) {};
  EXPECT_EQ(problem_with(none), "");
  const auto of = [](LedgerId id, auto change) {
    return [id, change](LedgerEvent& event) {
      if (event.id == id) change(event);
    };
  };
  EXPECT_EQ(problem_with(of(2, [](LedgerEvent& event) { event.id = 0; })),
            "event 3 of its ledger cannot be: its id does not follow that of the event before");
  EXPECT_EQ(problem_with(of(2, [](LedgerEvent& event) { event.amount = 9; })),
            "event 4 of its ledger cannot be: it cannot have happened");
  EXPECT_EQ(problem_with(
                of(3, [](LedgerEvent& event) { event.type = static_cast<LedgerEventType>(14); })),
            "event 3 of its ledger cannot be: it is none");
  EXPECT_EQ(problem_with(of(3, [](LedgerEvent& event) { event.code = LedgerCode{200}; })),
            "event 3 of its ledger cannot be: it is none");
  EXPECT_EQ(problem_with(of(4, [](LedgerEvent& event) { event.at = -1; })),
            "event 4 of its ledger cannot be: it is none");
}

// The end of the store comes in the middle of the events: those that are written are the first
// ones.
TEST_F(LedgerRowsTest, IsClosedWhileThreadsWrite) {
  auto store = std::make_shared<SqliteStore>(open_file());
  ledger.observe([store](auto events) { store->commit_until_written(batch_of(events), nullptr); });
  for (const char* account : {"a", "b", "c", "d"}) ledger.open(account, kUnlimited, now);
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, &stop, t] {
      const std::string from(1, static_cast<char>('a' + t));
      const std::string to(1, static_cast<char>('a' + (t + 1) % 4));
      for (int i = 0; !stop; ++i) {
        ledger.execute(transfer_request(from + std::to_string(i), from, to, 1), now);
      }
    });
  }
  while (store->stats().batches < 500) std::this_thread::yield();
  store->close();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  const std::unique_ptr<StoreFile> file = open_file();
  Ledger loaded;
  EXPECT_EQ(load_ledger(*file, loaded), "");
  EXPECT_GE(loaded.last_event(), 500u);
  EXPECT_LE(loaded.last_event(), ledger.last_event());
  EXPECT_EQ(sum_of(loaded, now), 0);
}

}  // namespace
}  // namespace sluice
