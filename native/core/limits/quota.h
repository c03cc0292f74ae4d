// A quota of several dimensions, reserved together under leases.
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

/// The number of a dimension, in the order of adding from 0.
using DimensionId = std::uint32_t;

/// The share of one dimension that a request reserves. At most one per dimension and key.
struct QuotaAsk {
  DimensionId dimension = 0;
  std::string_view key;
  std::int64_t cost = 0;  ///< at least 0
};

struct QuotaAnswer {
  bool allowed = false;
  Nanos retry_after = 0;     ///< the longest of the denied shares; see LimitDecision, HeldAccounts
  LeaseId lease = 0;         ///< when allowed
  Nanos expires_at = 0;      ///< of the lease
  bool leases_full = false;  ///< denied: the number of leases is at its limit
  std::vector<LimitDecision> shares;  ///< one for each ask, in order
};

/// Limits several dimensions at once: a request reserves its share of each, or nothing.
///
/// A reservation is a lease, which ends exactly once: settled at the actual use, or released, which
/// gives everything back. A lease that is neither settled nor released in time expires, so that
/// nothing stays reserved for ever; expiry charges the reserved amounts, since the actual use is
/// unknown.
///
/// Thread-safe: one mutex guards all state. All times are of one clock.
class Quota {
 public:
  struct Options {
    std::size_t max_keys = 1'000'000;  ///< of each windowed dimension
    std::size_t max_leases = 1'000'000;
  };

  explicit Quota(const Options& options) : options_(options) {}
  Quota(const Quota&) = delete;
  Quota& operator=(const Quota&) = delete;

  /// Adds a dimension that allows each key a burst of `amount`, refilled over each `window`.
  /// `amount` is at least 0.
  DimensionId add_windowed(std::int64_t amount, Nanos window);
  /// Adds a dimension that allows each key to hold `amount` (at least 0) at a time.
  DimensionId add_held(std::int64_t amount);

  /// Changes the limit of the keys that have none of their own, from now on. The window of a
  /// windowed dimension changes for all keys; a held dimension ignores it.
  void set_limit(DimensionId dimension, std::int64_t amount, Nanos window, Nanos now);
  /// Sets a limit for one key, until it is cleared.
  void set_limit_of(DimensionId dimension, std::string_view key, std::int64_t amount, Nanos now);
  void clear_limit_of(DimensionId dimension, std::string_view key, Nanos now);

  /// Reserves all shares under a lease of `lease_for` (up to 2^55 ns), or nothing.
  QuotaAnswer reserve(std::span<const QuotaAsk> asks, Nanos lease_for, Nanos now);

  /// Ends a lease at the actual use: `used[i]` of the i-th share, or the reserved amount if that is
  /// missing or negative. The rest is given back; an excess is charged, if necessary as a debt.
  /// Returns false, without effect, when the lease has ended already.
  bool settle(LeaseId lease, std::span<const std::int64_t> used, Nanos now);

  /// Ends a lease and gives back all of it. Returns false, without effect, when it has ended
  /// already.
  bool release(LeaseId lease, Nanos now);

  /// Moves a lease's expiry to `lease_for` after now. Returns false when it has ended already.
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
