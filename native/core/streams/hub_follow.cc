// The hub's followers: jobs that share the answer of another one.
//
// One level deep: a leader follows nobody while it runs. Leader and follower point at each other
// for as long as neither has ended; whichever ends or is purged first undoes that.
#include <algorithm>
#include <utility>

#include "core/streams/hub.h"

namespace sluice {

bool JobHub::follow(JobHandle follower_handle, JobHandle leader_handle, Nanos now) {
  Job* const follower = find(follower_handle);
  if (follower == nullptr || follower->log.ended()) return true;
  Job* const leader = find(leader_handle);
  if (leader == nullptr || leader == follower || leader->leader != nullptr) return false;
  if (leader->log.trimmed() > 0) return false;
  // What a job has begun by itself cannot become another's.
  if (follower->leader != nullptr || !follower->followers.empty()) return false;
  if (follower->log.token_count() > 0 || follower->log.attempt() > 1) return false;

  if (leader->status != Job::Status::kQueued) start(*follower, now);
  if (leader->log.token_count() > 0) {
    follower->log.take_tokens(leader->log);
    follower->first_token_at = now;
    feed_all(*follower);
    note(*follower, now + options_.record_interval);
  }
  if (leader->log.ended()) {
    finish(*follower, leader->log.terminal(), now);
    return true;
  }
  follower->leader = leader;
  leader->followers.push_back(follower);
  touch(*follower);
  return true;
}

void JobHub::leave_leader(Job& follower) {
  Job& leader = *std::exchange(follower.leader, nullptr);
  std::erase(leader.followers, &follower);
  touch_window(leader);  // it may have been this one's readers that held the producer back
}

void JobHub::finish_followers(Job& leader, const Terminal& terminal, Nanos now) {
  for (Job* follower : std::exchange(leader.followers, {})) {
    follower->leader = nullptr;
    // The copies that grew side by side hold the same tokens: one of them is enough from here on.
    if (leader.log.trimmed() == follower->log.trimmed()) follower->log.take_tokens(leader.log);
    finish(*follower, terminal, now);
  }
}

}  // namespace sluice
