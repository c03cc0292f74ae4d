// The key-value store against a plain model over random histories: conditions, times to live,
// scans, snapshots and transactions, several of them open at a time.
#include <algorithm>
#include <iterator>
#include <map>
#include <random>
#include <utility>

#include "core/kv/fixture.h"

namespace sluice {
namespace {

// A plain model of the store: all keys ever set, with their current entries.
class Model {
 public:
  struct Entry {
    std::string value;
    KvVersion version;
    Nanos last_alive;

    friend bool operator==(const Entry&, const Entry&) = default;
  };
  using Content = std::map<std::string, Entry>;

  [[nodiscard]] Content alive(Nanos now) const {
    Content found;
    for (const auto& [key, entry] : content_) {
      if (now <= entry.last_alive) found.emplace(key, entry);
    }
    return found;
  }
  [[nodiscard]] KvVersion version_of(const std::string& key, Nanos now) const {
    const auto found = content_.find(key);
    return found != content_.end() && now <= found->second.last_alive ? found->second.version : 0;
  }
  void set(const std::string& key, const std::string& value, Nanos ttl, Nanos now) {
    Nanos end = ttl == kNever ? kNever : now + ttl;
    if (ttl == kKeepEnd) end = version_of(key, now) == 0 ? kNever : content_[key].last_alive;
    content_[key] = {value, ++version_, end};
  }
  void touch(const std::string& key, Nanos ttl, Nanos now) {
    if (version_of(key, now) != 0) set(key, content_[key].value, ttl, now);
  }
  void erase(const std::string& key, Nanos now) {
    if (version_of(key, now) != 0) ++version_;
    content_.erase(key);
  }

  KvVersion version_ = 0;

 private:
  Content content_;
};

// A running transaction of the store, and its model.
struct Running {
  explicit Running(const std::shared_ptr<KvStore>& store) : tx(store) {}

  KvTransaction tx;
  std::map<std::string, KvVersion> seen;
  std::vector<std::pair<KvRange, Model::Content>> scanned;
  std::map<std::string, std::pair<std::optional<std::string>, Nanos>> writes;
  bool doomed = false;  // permanently, also when the values are restored
};

Model::Content content_of(const KvPage& page) {
  Model::Content found;
  for (const KvEntryRef& entry : page.entries) {
    found[entry->key] = {entry->value.bytes, entry->version, entry->last_alive};
  }
  return found;
}

class KvStoreRandomTest : public KvTest {
 protected:
  static constexpr std::size_t kAll = 1000;

  void run(unsigned seed, int steps) {
    random_.seed(seed);
    spread_ = 3 + seed % 20;
    store_ = std::make_shared<KvStore>(KvLimits{});
    for (int step = 0; step < steps && !HasFatalFailure(); ++step) {
      if (below(3) == 0) now_ += static_cast<Nanos>(below(4));
      if (below(100) == 0) now_ += 1000;
      act();
      ASSERT_EQ(store_->version(), model_.version_);
      if (step % 8 == 0) compare();
    }
    snapshots_.clear();
    running_.clear();
    EXPECT_EQ(store_->pinned_bytes(), 0u);
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  std::string some_key() { return std::string(1, static_cast<char>('a' + below(spread_))); }
  std::string some_value() { return std::to_string(below(3)); }
  Nanos some_ttl() { return below(2) == 0 ? kNever : static_cast<Nanos>(below(20)); }
  Nanos some_end() { return below(4) == 0 ? kKeepEnd : some_ttl(); }
  KvRange some_range() {
    return kv_range("", some_key(), below(3) == 0 ? std::nullopt : std::optional(some_key()), {});
  }

  void act() {
    switch (below(13)) {
      case 0:
      case 1:
      case 2:
        return set();
      case 12:
        return touch();
      case 3:
        return erase();
      case 4:
        store_->reclaim(below(4), now_);
        return;
      case 5:
        if (snapshots_.size() < 4)
          snapshots_.emplace_back(store_->snapshot(now_), model_.alive(now_));
        else
          snapshots_.erase(snapshots_.begin() + static_cast<std::ptrdiff_t>(below(4)));
        return;
      case 6:
        if (running_.size() < 3) running_.push_back(std::make_unique<Running>(store_));
        return;
      case 7:
        return commit();
      default:
        if (!running_.empty()) in_transaction(*running_[below(running_.size())]);
    }
  }

  void set() {
    const std::string key = some_key();
    const std::string value = some_value();
    const Nanos ttl = some_end();
    const KvVersion current = model_.version_of(key, now_);
    const KvVersion expected = below(2) == 0 ? kAnyVersion : current + below(2);
    const KvResult result = put(key, value, ttl, expected);
    if (expected != kAnyVersion && expected != current) {
      ASSERT_EQ(result.status, KvStatus::kConflict);
      ASSERT_EQ(result.version, current);
      return;
    }
    model_.set(key, value, ttl, now_);
    ASSERT_EQ(result.version, model_.version_);
  }

  void touch() {
    const std::string key = some_key();
    const Nanos ttl = some_ttl();
    const bool was_there = model_.version_of(key, now_) != 0;
    const KvResult result = store_->touch(key, ttl, kAnyVersion, now_);
    model_.touch(key, ttl, now_);
    ASSERT_EQ(result.version, was_there ? model_.version_ : kAbsent);
  }

  void erase() {
    const std::string key = some_key();
    const bool was_there = model_.version_of(key, now_) != 0;
    const KvResult result = store_->erase(key, kAnyVersion, now_);
    model_.erase(key, now_);
    ASSERT_EQ(result.version, was_there ? model_.version_ : kAbsent);
  }

  // The expected view of a transaction: the store's content, overlaid by its writes.
  static void overlay(Model::Content& content, const Running& running, const KvRange& range,
                      Nanos now) {
    for (const auto& [key, write] : running.writes) {
      if (key < range.from || range.ends_before(key)) continue;
      content.erase(key);
      if (write.first) content[key] = {*write.first, kAbsent, deadline_after(now, write.second)};
    }
  }

  [[nodiscard]] Model::Content within(const KvRange& range) const {
    Model::Content found = model_.alive(now_);
    std::erase_if(found, [&](const auto& each) {
      return each.first < range.from || range.ends_before(each.first);
    });
    return found;
  }

  // Whether all of its reads are still valid.
  [[nodiscard]] bool holds(const Running& running) const {
    for (const auto& [key, version] : running.seen) {
      if (model_.version_of(key, now_) != version) return false;
    }
    for (const auto& [range, then] : running.scanned) {
      if (within(range) != then) return false;
    }
    return true;
  }

  void in_transaction(Running& running) {
    const std::string key = some_key();
    switch (below(4)) {
      case 0: {
        const std::string value = some_value();
        const Nanos ttl = some_ttl();
        ASSERT_EQ(running.tx.set(key, {value}, ttl), KvStatus::kDone);
        running.writes[key] = {value, ttl};
        return;
      }
      case 1:
        running.tx.erase(key);
        running.writes[key] = {std::nullopt, kNever};
        return;
      case 2:
        return read(running, key);
      default:
        return scan(running, some_range());
    }
  }

  bool gave_up(Running& running) {
    if (running.tx.doomed() && !std::exchange(running.doomed, true)) {
      EXPECT_FALSE(holds(running)) << "doomed for nothing";
    }
    return running.doomed;
  }

  void read(Running& running, const std::string& key) {
    const KvEntryRef entry = running.tx.get(key, now_);
    if (gave_up(running)) return;
    if (const auto own = running.writes.find(key); own != running.writes.end()) {
      ASSERT_EQ(text(entry), own->second.first);
      return;
    }
    const auto [seen, first] = running.seen.emplace(key, model_.version_of(key, now_));
    ASSERT_EQ(entry ? entry->version : kAbsent, seen->second);
  }

  // A full page has read up to the first key without room.
  void scan(Running& running, KvRange range) {
    const std::size_t limit = below(2) == 0 ? kAll : 1 + below(3);
    const bool reverse = below(2) == 0;
    const KvOrder order = reverse ? KvOrder::kDescending : KvOrder::kAscending;
    const KvPage page = running.tx.scan(range, limit, now_, order);
    if (gave_up(running)) return;
    Model::Content expected = within(range);
    overlay(expected, running, range, now_);
    const bool more = expected.size() > limit;
    if (more && reverse) {
      const auto rest = std::prev(expected.end(), static_cast<std::ptrdiff_t>(limit));
      range.from = std::prev(rest)->first;
      expected.erase(expected.begin(), rest);
    } else if (more) {
      const auto beyond = std::next(expected.begin(), static_cast<std::ptrdiff_t>(limit));
      range.to = beyond->first + '\0';
      expected.erase(beyond, expected.end());
    }
    const Model::Content read = within(range);
    running.scanned.emplace_back(range, read);
    for (const auto& [key, entry] : read) running.seen.emplace(key, entry.version);
    ASSERT_EQ(page.more, more);
    const auto by_key = [](const KvEntryRef& one, const KvEntryRef& other) {
      return one->key < other->key;
    };
    const auto& found = page.entries;
    ASSERT_TRUE(reverse ? std::is_sorted(found.rbegin(), found.rend(), by_key)
                        : std::is_sorted(found.begin(), found.end(), by_key));
    ASSERT_EQ(content_of(page), expected);
  }

  void commit() {
    if (running_.empty()) return;
    const std::unique_ptr<Running> running = std::move(running_.front());
    running_.erase(running_.begin());
    const bool expected = !running->tx.doomed() && holds(*running);
    const KvResult result = running->tx.commit(now_);
    ASSERT_EQ(result.status, expected ? KvStatus::kDone : KvStatus::kConflict);
    (expected ? committed_ : conflicts_) += 1;
    if (!expected) return;
    for (const auto& [key, write] : running->writes) {
      if (write.first)
        model_.set(key, *write.first, write.second, now_);
      else
        model_.erase(key, now_);
    }
  }

  void compare() {
    ASSERT_EQ(content_of(store_->scan({}, kAll, now_)), model_.alive(now_));
    for (const auto& [snapshot, then] : snapshots_) {
      ASSERT_EQ(content_of(snapshot.scan({}, kAll)), then);
    }
    const std::string key = some_key();
    ASSERT_EQ(version_of(key), model_.version_of(key, now_));
    ASSERT_GE(store_->size(), model_.alive(now_).size());
  }

  std::mt19937_64 random_;
  std::uint64_t spread_ = 0;
  Model model_;
  std::vector<std::pair<KvSnapshot, Model::Content>> snapshots_;
  std::vector<std::unique_ptr<Running>> running_;

 protected:
  int committed_ = 0;
  int conflicts_ = 0;
};

class KvStoreHistory : public KvStoreRandomTest, public ::testing::WithParamInterface<unsigned> {};

TEST_P(KvStoreHistory, AgreesWithTheModel) {
  run(GetParam(), 8000);
  EXPECT_GT(committed_, 50);
  EXPECT_GT(conflicts_, 50);
}

INSTANTIATE_TEST_SUITE_P(Seeds, KvStoreHistory, ::testing::Range(0U, 24U));

}  // namespace
}  // namespace sluice
