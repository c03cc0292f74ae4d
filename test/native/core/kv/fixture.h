// A key-value store under injected time, with plain strings as values.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/kv/store.h"
#include "core/kv/transaction.h"

namespace sluice {

/// A change as it was told, with copies of what it showed.
struct ToldChange {
  KvChange::Kind kind;
  KvVersion version;
  std::string key;
  std::string value;
  Nanos last_alive;

  friend bool operator==(const ToldChange&, const ToldChange&) = default;
};

class KvTest : public ::testing::Test {
 protected:
  explicit KvTest(const KvLimits& limits = {}) : store_(std::make_shared<KvStore>(limits)) {}

  KvResult put(const std::string& key, const std::string& value, Nanos ttl = kNever,
               KvVersion expected = kAnyVersion) {
    return store_->set(key, {value}, ttl, expected, now_);
  }
  KvVersion version_of(const std::string& key) {
    const KvEntryRef entry = store_->get(key, now_);
    return entry ? entry->version : kAbsent;
  }
  std::optional<std::string> value_of(const std::string& key) {
    return text(store_->get(key, now_));
  }
  static std::optional<std::string> text(const KvEntryRef& entry) {
    return entry ? std::optional(entry->value.bytes) : std::nullopt;
  }
  static std::vector<std::string> keys(const KvPage& page) {
    std::vector<std::string> found;
    for (const KvEntryRef& entry : page.entries) found.push_back(entry->key);
    return found;
  }
  std::vector<std::string> all_keys() { return keys(store_->scan({}, 1000, now_)); }

  /// Every change from now on.
  std::vector<ToldChange>& observe() {
    store_->observe([this](std::span<const KvChange> changes) {
      commits_.push_back(changes.size());
      for (const KvChange& each : changes) {
        told_.push_back({each.kind, each.version, std::string(each.key), std::string(each.value),
                         each.last_alive});
      }
    });
    return told_;
  }

  Nanos now_ = 1000;
  std::shared_ptr<KvStore> store_;
  std::vector<ToldChange> told_;
  std::vector<std::size_t> commits_;  ///< how many changes each call of the observer told
};

using Keys = std::vector<std::string>;

}  // namespace sluice
