// The hub's larger works: jobs whose log has the tokens of other jobs, their parts.
//
// A part belongs to one work, and a work is no part. They point at each other for as long as
// neither has ended; whichever ends or is purged first undoes that.
#include <algorithm>
#include <utility>

#include "core/base/json_writer.h"
#include "core/streams/hub.h"

namespace sluice {

void JobHub::link_feed(Job& part) {
  Job* const work = find(part.options.feeds);
  if (work == nullptr || work->log.ended()) return;
  part.feeds = work;
  work->fed_by.push_back(&part);
}

void JobHub::feed(const Job& part, std::string_view token) {
  feed_data_.clear();
  feed_data_.push_back('{');
  feed_data_.append(part.options.feed_members).append(",\"token\":");
  append_json_string(feed_data_, token);
  feed_data_.push_back('}');
  Job& work = *part.feeds;
  if (!work.log.append_typed("token", feed_data_)) return;
  ++work.fed;
  touch(work);
}

void JobHub::feed_all(const Job& part) {
  if (part.feeds == nullptr) return;
  JobLog::Position at{part.log.attempt(), 1};
  for (auto event = part.log.read(at); event.kind == JobLog::EventKind::kToken;
       event = part.log.read(at)) {
    feed(part, event.text);
    ++at.next_seq;
  }
}

void JobHub::unlink_feeds(Job& job) {
  if (Job* const work = std::exchange(job.feeds, nullptr)) std::erase(work->fed_by, &job);
  for (Job* part : std::exchange(job.fed_by, {})) {
    part->feeds = nullptr;
    touch_window(*part);  // it may have been this one's readers that held it back
  }
}

// How many tokens the slowest reader has yet to deal with, of this job or of its work.
std::uint64_t JobHub::lag_of(const Job& job) const {
  std::uint64_t lag = job.feeds == nullptr ? 0 : lag_of(*job.feeds);
  const std::uint64_t tokens = job.log.token_count();
  for (const Channel* channel : job.channels) {
    lag = std::max(lag, tokens - std::min(tokens, channel->acknowledged(job)));
  }
  return lag;
}

}  // namespace sluice
