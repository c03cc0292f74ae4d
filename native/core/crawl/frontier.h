// What a crawl fetches next: every URL once, level by level, no faster than its host bears.
//
// A plain state machine for one thread (JavaScript's): it is asked for the next URL, told how each
// fetch ended, and says when it is worth asking again. Time is an argument and never goes back.
// It knows nothing of HTTP, nor of which links belong to the site. Ends with its owner.
//
// The rules:
// - A URL is claimed, for good, before it is fetched; one that is claimed already is refused.
// - Breadth first with a barrier: the first URL of depth d + 1 is handed out when the last of depth
//   d has ended, retries included, so depth never decreases whatever the latencies.
// - Requests to a host are spaced evenly, 1 / per_host_per_second apart, never in a burst.
// - A failure that concerns the host as a whole (no connection, 429, 503) is a strike: the host
//   rests for backoff_base * 2^(strikes - 1), at most backoff_cap and at least what it asked for,
//   and is then tried by one request at a time until something succeeds. Requests that were under
//   way when it struck add no strike. 429 and 503 also halve its rate, down to an eighth;
//   twenty successes in a row double it again.
// - Any other failure that may pass is the URL's own: it waits out a backoff of its own at the end
//   of its level. A URL is requested `url_attempts` times at most.
// - A host is given up after `host_strikes` strikes in a row, after `host_barren` URLs in a row
//   whose first attempt brought nothing, or when it asks for a rest longer than retry_after_max.
//   What it has left is abandoned without a request.
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
  std::size_t pages = 100;      ///< successes after which nothing more is handed out
  std::size_t urls = 1'000;     ///< claimed at most; further links are dropped
  std::uint32_t depth = 10;     ///< links deeper than this are not taken
  std::size_t concurrency = 4;  ///< URLs handed out and not ended
  std::uint32_t url_attempts = 3;
  CrawlHostLimits host{};
};

enum class Claim {
  kNew,      ///< nobody had it before
  kKnown,    ///< claimed already
  kTooDeep,  ///< beyond `depth`; not claimed
  kFull,     ///< beyond `urls`; not claimed
};

/// A URL to be requested now.
struct CrawlDispatch {
  UrlId id;
  std::uint32_t depth;
  std::uint32_t attempt;  ///< from 1; moving on to a redirect's target begins none
  std::string url;
};

/// A URL that is not requested any more, since its host was given up.
struct CrawlAbandoned {
  UrlId id;  ///< what it has been handed out as, if it has been
  std::uint32_t depth;
  std::string url;
};

struct CrawlCounts {
  std::size_t claimed;    ///< URLs, all told
  std::size_t waiting;    ///< to be handed out, at once or later
  std::size_t in_flight;  ///< handed out and not ended
  std::size_t pages;
};

class CrawlFrontier {
 public:
  explicit CrawlFrontier(const CrawlLimits& limits) : limits_(limits) {}
  CrawlFrontier(const CrawlFrontier&) = delete;
  CrawlFrontier& operator=(const CrawlFrontier&) = delete;

  /// Claims and queues a URL of depth 0. Before anything of depth 1 has been handed out.
  Claim seed(std::string_view url, std::string_view host);

  /// Claims and queues a link found on `parent`, which is in flight.
  Claim link(UrlId parent, std::string_view url, std::string_view host);

  [[nodiscard]] bool claimed(const std::string& url) const { return claimed_.contains(url); }

  /// Claims a link found on `parent` that is not going to be fetched.
  Claim refuse(UrlId parent, std::string_view url);

  /// `id`, in flight, is redirected: claims the target. When that is new, the target takes the
  /// place of the URL at the front of the queue, and `id` is in flight no more. Otherwise nothing
  /// changes. A redirect costs its host a request, but the URL no attempt.
  Claim redirect(UrlId id, std::string_view url);

  /// What is to be requested at `now`; nothing when all that is left has to wait, for time (see
  /// next_deadline) or for the end of what is in flight, or when there is no more.
  std::optional<CrawlDispatch> next(Nanos now);

  /// When time alone will make `next` give something: kNever when it will not, a time that has
  /// passed when it would right now.
  [[nodiscard]] Nanos next_deadline(Nanos now) const;

  /// `id`, in flight, was answered and is done with; `page` when it counts as one.
  void finish(UrlId id, bool page);

  /// The request for `id`, in flight, failed. True: it will be handed out again. False: that was
  /// the end of it.
  /// @param retry_after how long the host asked to be left alone; 0 if it did not.
  bool fail(UrlId id, CrawlFailure failure, Nanos retry_after, Nanos now);

  /// Requests to `host` are to be at least `interval` apart, from the next one on.
  void slow_down(std::string_view host, Nanos interval);

  /// What has been abandoned since the last call, by depth and then in the order found.
  std::vector<CrawlAbandoned> take_abandoned() { return std::exchange(abandoned_, {}); }

  /// Nothing is in flight, and nothing will be handed out any more.
  [[nodiscard]] bool finished() const;

  [[nodiscard]] CrawlCounts counts() const;

 private:
  struct Entry {
    std::string url;
    CrawlHost* host;
    std::uint32_t depth;
    std::uint32_t failures = 0;
    bool in_flight = false;
    std::uint64_t epoch = 0;  // of the host, when last handed out
  };

  Claim claim(std::string_view url, std::uint32_t depth);
  void queue(std::string_view url, std::string_view host, std::uint32_t depth);
  CrawlHost& host_of(std::string_view name);
  [[nodiscard]] bool open_for_more() const;
  void land(Entry& entry);
  void forget(UrlId id);
  void give_up(CrawlHost& host);

  const CrawlLimits limits_;
  std::unordered_set<std::string> claimed_;
  std::unordered_map<UrlId, Entry> entries_;
  // By name, so that turns among hosts do not depend on a hash.
  std::map<std::string, CrawlHost, std::less<>> hosts_;
  std::string last_host_;
  std::vector<CrawlAbandoned> abandoned_;
  UrlId last_id_ = 0;
  std::uint32_t level_ = 0;
  std::size_t level_open_ = 0;  // entries of the current level; all others are one level deeper
  std::size_t in_flight_ = 0;
  std::size_t pages_ = 0;
};

}  // namespace sluice
