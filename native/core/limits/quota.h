// A quota: several dimensions, of which a request takes its shares all at once or not at all.
//
// A reservation is a lease, which is ended exactly once: settled at actual use, or released without
// a trace. An abandoned lease expires, so that nothing stays held for ever; expiry settles it at
// what it reserved, since the actual use is unknown.
//
// Thread-safe: one mutex guards all state. Ends with its owner. All times are of one clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/time.h"
#include "core/limits/limit_decision.h"
#include "core/limits/quota_accounts.h"

namespace sluice {

/// Names a dimension: the first that was added is 0.
using DimensionId = std::uint32_t;

/// A share of one dimension. One request asks at most once for a dimension and key.
struct QuotaAsk {
  DimensionId dimension = 0;
  std::string_view key;
  std::int64_t cost = 0;  ///< at least 0
};

struct QuotaAnswer {
  bool allowed = false;
  Nanos retry_after = 0;     ///< the longest of those that failed; see LimitDecision, HeldAccounts
  LeaseId lease = 0;         ///< when allowed
  Nanos expires_at = 0;      ///< of the lease
  bool leases_full = false;  ///< denied for want of room for another lease
  std::vector<LimitDecision> shares;  ///< one for each ask, in order
};

class Quota {
 public:
  struct Options {
    std::size_t max_keys = 1'000'000;  ///< of each windowed dimension
    std::size_t max_leases = 1'000'000;
  };

  explicit Quota(const Options& options) : options_(options) {}
  Quota(const Quota&) = delete;
  Quota& operator=(const Quota&) = delete;

  /// `amount` at once, and again in each `window`, for each key; from 0.
  DimensionId add_windowed(std::int64_t amount, Nanos window);
  /// `amount` at a time for each key; from 0.
  DimensionId add_held(std::int64_t amount);

  /// New limits from now on, for keys that have none of their own. `window` is ignored by a held
  /// dimension; keys with a limit of their own get the new window too.
  void set_limit(DimensionId dimension, std::int64_t amount, Nanos window, Nanos now);
  /// A limit of its own for one key, kept until it is cleared.
  void set_limit_of(DimensionId dimension, std::string_view key, std::int64_t amount, Nanos now);
  void clear_limit_of(DimensionId dimension, std::string_view key, Nanos now);

  /// Takes all that is asked for, under a lease of `lease_for` (up to 2^55 ns), or nothing.
  QuotaAnswer reserve(std::span<const QuotaAsk> asks, Nanos lease_for, Nanos now);

  /// Ends a lease at actual use: `used[i]` of the i-th ask, or what was reserved where that is
  /// missing or negative. The rest is given back, and an excess is taken, as a debt if need be.
  /// False, without effect, when the lease has ended already.
  bool settle(LeaseId lease, std::span<const std::int64_t> used, Nanos now);

  /// Ends a lease and gives all of it back. False, without effect, when it has ended already.
  bool release(LeaseId lease, Nanos now);

  /// Moves a lease's expiry to `lease_for` after now. False when it has ended already.
  bool renew(LeaseId lease, Nanos lease_for, Nanos now);

  /// Leases that have not ended.
  [[nodiscard]] std::size_t leases(Nanos now);

  /// Keys held in a dimension.
  [[nodiscard]] std::size_t keys(DimensionId dimension) const;

 private:
  struct Share {
    DimensionId dimension;
    std::string key;
    std::int64_t cost;
  };
  struct Lease {
    Nanos expires_at;
    std::vector<Share> shares;
  };
  using Leases = std::unordered_map<LeaseId, Lease>;
  // Accounts are neither copied nor moved.
  using Dimension = std::variant<std::unique_ptr<WindowedAccounts>, std::unique_ptr<HeldAccounts>>;

  void expire(Nanos now);
  LimitDecision evaluate(const QuotaAsk& ask, const HashedKey& key, Nanos now);
  LimitDecision take(const QuotaAsk& ask, const HashedKey& key, const QuotaAnswer& answer,
                     Nanos now);
  // Removes the lease; `owed(share, reserved)` is what a windowed share is still to be charged.
  template <typename Owed>
  void end(Leases::iterator lease, const Owed& owed, Nanos now);

  Options options_;
  mutable std::mutex mutex_;
  std::vector<Dimension> dimensions_;
  Leases leases_;
  std::set<std::pair<Nanos, LeaseId>> by_expiry_;
  LeaseId last_lease_ = 0;
};

}  // namespace sluice
