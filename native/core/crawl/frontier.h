// The frontier of a crawl: the URLs to fetch, their order and their pace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/base/time.h"
#include "core/crawl/host_queue.h"

namespace sluice {

using UrlId = std::uint64_t;

struct CrawlLimits {
  std::size_t pages = 100;                   ///< pages after which no more URLs are dispatched
  std::size_t urls = 1'000;                  ///< claimed at most; further links are dropped
  std::size_t url_bytes = 16 * 1024 * 1024;  ///< the same, for the sum of their lengths
  std::uint32_t depth = 10;                  ///< deeper links are dropped
  std::size_t concurrency = 4;               ///< requests in flight
  std::uint32_t url_attempts = 3;
  HostQueueLimits host{};
};

enum class Claim {
  kNew,      ///< claimed now
  kKnown,    ///< claimed already
  kTooDeep,  ///< beyond `depth`; not claimed
  kFull,     ///< beyond `urls` or `url_bytes`; not claimed
};

/// A URL to be requested now.
struct CrawlDispatch {
  UrlId id;
  std::uint32_t depth;
  std::uint32_t attempt;  ///< from 1; a redirect's target continues the same attempt
  std::string url;
};

/// A URL that is not requested any more because its host was given up.
struct CrawlAbandoned {
  UrlId id;  ///< the same as in its CrawlDispatch, if it was dispatched
  std::uint32_t depth;
  std::string url;
};

struct CrawlCounts {
  std::size_t claimed;
  std::size_t waiting;    ///< queued, retries included
  std::size_t in_flight;  ///< dispatched and not ended
  std::size_t pages;
};

/// Decides which URL a crawl requests next: each URL once, depth by depth, at the pace of its host.
///
/// A plain state machine for one thread. The caller asks for the next URL, reports the end of each
/// request, and learns when to ask again. Time is an argument and never goes back. HTTP, and which
/// links belong to the site, are left to the caller.
///
/// - A URL is claimed before it is fetched and stays claimed; a second claim is refused.
/// - Breadth first with a barrier: the first URL of a depth is dispatched once the last one of the
///   depth before has ended, retries included. Depth never decreases, however long requests take.
/// - Requests to a host are spaced evenly, 1 / per_second apart, without bursts.
/// - A failure of the host as a whole (no connection, 429, 503) is a strike: the host rests for
///   backoff_base * 2^(strikes - 1), at most backoff_cap and at least its Retry-After, and is then
///   tried by one request at a time until one succeeds. Requests that were in flight at the strike
///   add no further one. 429 and 503 also halve the rate, down to an eighth; twenty successes in a
///   row double it again.
/// - Any other temporary failure concerns the URL alone: it waits for its own backoff, at the
///   end of its depth. A URL is requested `url_attempts` times at most.
/// - A host is given up after `strikes` strikes in a row, after `barren` URLs in a row whose first
///   attempt failed, or for a Retry-After above retry_after_max. Its remaining URLs are abandoned
///   without a request.
class CrawlFrontier {
 public:
  explicit CrawlFrontier(const CrawlLimits& limits) : limits_(limits) {}
  CrawlFrontier(const CrawlFrontier&) = delete;
  CrawlFrontier& operator=(const CrawlFrontier&) = delete;

  /// Claims and queues a URL of depth 0. Call it before a URL of depth 1 is dispatched.
  Claim seed(std::string_view url, std::string_view host);

  /// Claims and queues a link found on `parent`, which is in flight.
  Claim link(UrlId parent, std::string_view url, std::string_view host);

  [[nodiscard]] bool claimed(const std::string& url) const { return claimed_.contains(url); }

  /// Claims a URL of that depth without queueing it: it is never requested.
  Claim refuse(std::string_view url, std::uint32_t depth) { return claim(url, depth); }

  /// Claims the target of a redirect of `id`, which is in flight. A new target replaces the URL at
  /// the front of the queue, and `id` is no longer in flight. Otherwise nothing changes. A redirect
  /// counts as a request of the host, but not as an attempt of the URL.
  Claim redirect(UrlId id, std::string_view url);

  /// The URL to request at `now`. Nothing if each remaining URL has to wait for a deadline (see
  /// next_deadline) or for the end of a request in flight, or if there is none.
  std::optional<CrawlDispatch> next(Nanos now);

  /// The time from which `next` returns a URL if nothing else happens: in the past if it would now,
  /// kNever if it never would.
  [[nodiscard]] Nanos next_deadline(Nanos now) const;

  /// Ends `id`, which is in flight and was answered; `page`: it counts towards `pages`.
  void finish(UrlId id, bool page);

  /// Records a failed request for `id`, which is in flight.
  /// @param retry_after the host's Retry-After, 0 without one
  /// @return whether the URL will be dispatched again; otherwise it has ended
  bool fail(UrlId id, CrawlFailure failure, Nanos retry_after, Nanos now);

  /// Spaces requests to `host` at least `interval` apart, from the next one on.
  void slow_down(std::string_view host, Nanos interval);

  /// URLs abandoned since the last call, by depth and then in the order found.
  std::vector<CrawlAbandoned> take_abandoned() { return std::exchange(abandoned_, {}); }

  /// Whether no request is in flight and no URL will be dispatched any more.
  [[nodiscard]] bool finished() const;

  [[nodiscard]] CrawlCounts counts() const;

  /// Ends every URL and frees their memory; the claims are gone, too.
  void clear();

 private:
  struct Entry {
    std::string url;
    HostQueue* host;
    std::uint32_t depth;
    std::uint32_t failures = 0;
    bool in_flight = false;
    std::uint64_t epoch = 0;  // of the host, when last dispatched
  };

  Claim claim(std::string_view url, std::uint32_t depth);
  void queue(std::string_view url, std::string_view host, std::uint32_t depth);
  HostQueue& host_of(std::string_view name);
  [[nodiscard]] bool open_for_more() const;
  void request_ended(Entry& entry);
  void erase(UrlId id);
  void give_up(HostQueue& host);

  const CrawlLimits limits_;
  std::unordered_set<std::string> claimed_;
  std::size_t url_bytes_ = 0;  // of all claimed URLs
  std::unordered_map<UrlId, Entry> entries_;
  // Sorted by name, so that the turns of hosts do not depend on a hash.
  std::map<std::string, HostQueue, std::less<>> hosts_;
  std::string last_host_;
  std::vector<CrawlAbandoned> abandoned_;
  UrlId last_id_ = 0;
  std::uint32_t level_ = 0;
  std::size_t level_open_ = 0;  // entries of the current level; all others are one level deeper
  std::size_t in_flight_ = 0;
  std::size_t pages_ = 0;
};

}  // namespace sluice
