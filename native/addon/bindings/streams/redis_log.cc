#include "addon/bindings/streams/redis_log.h"

#include <utility>

namespace sluice {

void RedisLog::start() {
  journal_.emplace(*link_.port, static_cast<RedisJournalOwner&>(*this),
                   RedisJournal::Options{.now = &Reactor::now, .unix_ms = &Reactor::unix_ms});
}

void RedisLog::write(std::uint64_t batch, std::vector<JobChange> changes) {
  if (journal_) journal_->write(batch, std::move(changes));
}

template <typename Command>
void RedisLog::post(Command command) {
  hub_reactor_->executor().post([hub = hub_, command = std::move(command)](Nanos now) {
    if (const std::shared_ptr<HubBridge> there = hub.lock()) command(*there, now);
  });
}

void RedisLog::on_recorded(std::uint64_t batch, std::vector<JobOutcome> outcomes) {
  post([batch, outcomes = std::move(outcomes)](HubBridge& bridge, Nanos now) {
    bridge.hub.recorded(batch, outcomes, now);
  });
}

void RedisLog::on_rewound(std::uint64_t job, EventLog::Position next) {
  post([job, next](HubBridge& bridge, Nanos now) { bridge.hub.rewind(job, next, now); });
}

void RedisLog::on_fenced(std::uint64_t job) {
  post([job](HubBridge& bridge, Nanos now) { bridge.hub.fence(job, now); });
}

void RedisLog::on_data_loss(std::uint64_t job) {
  post([job](HubBridge& bridge, Nanos) { bridge.report_data_loss(job); });
}

void LinkJournal::on_changes(std::uint64_t batch, std::vector<JobChange> changes) {
  reactor_->executor().post([log = log_, batch, changes = std::move(changes)](Nanos) mutable {
    log->write(batch, std::move(changes));
  });
}

}  // namespace sluice
