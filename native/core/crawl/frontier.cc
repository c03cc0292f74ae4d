#include "core/crawl/frontier.h"

#include <algorithm>

namespace sluice {

Claim CrawlFrontier::claim(std::string_view url, std::uint32_t depth) {
  std::string key(url);
  if (claimed_.contains(key)) return Claim::kKnown;
  if (depth > limits_.depth) return Claim::kTooDeep;
  if (claimed_.size() >= limits_.urls || key.size() > limits_.url_bytes - url_bytes_) {
    return Claim::kFull;
  }
  url_bytes_ += key.size();
  claimed_.insert(std::move(key));
  return Claim::kNew;
}

HostQueue& CrawlFrontier::host_of(std::string_view name) {
  const auto found = hosts_.find(name);
  if (found != hosts_.end()) return found->second;
  return hosts_.try_emplace(std::string(name), limits_.host).first->second;
}

void CrawlFrontier::queue(std::string_view url, std::string_view host_name, std::uint32_t depth) {
  HostQueue& host = host_of(host_name);
  const UrlId id = ++last_id_;
  if (host.given_up()) {
    abandoned_.push_back({id, depth, std::string(url)});
    return;
  }
  entries_.emplace(id, Entry{.url = std::string(url), .host = &host, .depth = depth});
  host.push_back(id, depth > level_);
  if (depth == level_) ++level_open_;
}

Claim CrawlFrontier::seed(std::string_view url, std::string_view host) {
  const Claim result = claim(url, 0);
  if (result == Claim::kNew) queue(url, host, level_);
  return result;
}

Claim CrawlFrontier::link(UrlId parent, std::string_view url, std::string_view host) {
  const auto found = entries_.find(parent);
  if (found == entries_.end()) return Claim::kTooDeep;
  const std::uint32_t depth = found->second.depth + 1;
  const Claim result = claim(url, depth);
  if (result == Claim::kNew) queue(url, host, depth);
  return result;
}

Claim CrawlFrontier::redirect(UrlId id, std::string_view url) {
  const auto found = entries_.find(id);
  if (found == entries_.end() || !found->second.in_flight) return Claim::kTooDeep;
  Entry& entry = found->second;
  const Claim result = claim(url, entry.depth);
  if (result != Claim::kNew) return result;
  request_ended(entry);
  entry.host->succeeded(entry.epoch);
  entry.url = url;
  entry.host->push_front(id);
  return result;
}

bool CrawlFrontier::open_for_more() const {
  // A request in flight may turn out to be a page: it takes a place under the limit.
  return in_flight_ < limits_.concurrency && pages_ + in_flight_ < limits_.pages;
}

std::optional<CrawlDispatch> CrawlFrontier::next(Nanos now) {
  if (!open_for_more()) return std::nullopt;
  // Hosts take turns: the search starts after the host of the last turn.
  auto host = hosts_.upper_bound(last_host_);
  for (std::size_t looked_at = 0; looked_at < hosts_.size(); ++looked_at, ++host) {
    if (host == hosts_.end()) host = hosts_.begin();
    if (host->second.eligible_at(now) > now) continue;
    last_host_ = host->first;
    const UrlId id = host->second.take(now);
    Entry& entry = entries_.at(id);
    entry.in_flight = true;
    entry.epoch = host->second.epoch();
    ++in_flight_;
    return CrawlDispatch{
        .id = id, .depth = entry.depth, .attempt = entry.failures + 1, .url = entry.url};
  }
  return std::nullopt;
}

Nanos CrawlFrontier::next_deadline(Nanos now) const {
  if (!open_for_more()) return kNever;
  Nanos earliest = kNever;
  for (const auto& [name, host] : hosts_) earliest = std::min(earliest, host.eligible_at(now));
  return earliest;
}

void CrawlFrontier::request_ended(Entry& entry) {
  entry.in_flight = false;
  entry.host->request_ended();
  --in_flight_;
}

void CrawlFrontier::finish(UrlId id, bool page) {
  const auto found = entries_.find(id);
  if (found == entries_.end() || !found->second.in_flight) return;
  Entry& entry = found->second;
  request_ended(entry);
  entry.host->succeeded(entry.epoch);
  if (page) ++pages_;
  erase(id);
}

bool CrawlFrontier::fail(UrlId id, CrawlFailure failure, Nanos retry_after, Nanos now) {
  const auto found = entries_.find(id);
  if (found == entries_.end() || !found->second.in_flight) return false;
  Entry& entry = found->second;
  HostQueue& host = *entry.host;
  request_ended(entry);
  const bool first = entry.failures++ == 0;
  const bool was_given_up = host.given_up();
  host.failed(failure, entry.epoch, first, retry_after, now);
  if (host.given_up() && !was_given_up) give_up(host);
  const bool passing = failure != CrawlFailure::kTimedOut && failure != CrawlFailure::kForbidden;
  if (!passing || host.given_up() || entry.failures >= limits_.url_attempts) {
    erase(id);
    return false;
  }
  // The rest of the host holds back its URLs; only a URL that failed alone waits by itself.
  const bool alone = failure == CrawlFailure::kBroken;
  host.push_retry(id, alone ? deadline_after(now, host.backoff(entry.failures)) : now);
  return true;
}

void CrawlFrontier::slow_down(std::string_view host, Nanos interval) {
  host_of(host).slow_down(interval);
}

void CrawlFrontier::give_up(HostQueue& host) {
  for (const UrlId id : host.take_all()) {
    const auto found = entries_.find(id);
    abandoned_.push_back({id, found->second.depth, std::move(found->second.url)});
    erase(id);
  }
}

void CrawlFrontier::erase(UrlId id) {
  const auto found = entries_.find(id);
  if (found->second.depth == level_) --level_open_;
  entries_.erase(found);
  if (level_open_ > 0 || entries_.empty()) return;
  ++level_;
  level_open_ = entries_.size();
  for (auto& [name, host] : hosts_) host.promote();
}

void CrawlFrontier::clear() {
  claimed_ = decltype(claimed_)();
  url_bytes_ = 0;
  entries_ = decltype(entries_)();
  hosts_.clear();
  abandoned_ = decltype(abandoned_)();
  level_open_ = 0;
  in_flight_ = 0;
}

bool CrawlFrontier::finished() const {
  return entries_.empty() || (in_flight_ == 0 && pages_ >= limits_.pages);
}

CrawlCounts CrawlFrontier::counts() const {
  return {.claimed = claimed_.size(),
          .waiting = entries_.size() - in_flight_,
          .in_flight = in_flight_,
          .pages = pages_};
}

}  // namespace sluice
