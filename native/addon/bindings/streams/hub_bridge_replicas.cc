// The part of a HubBridge that follows logs of other processes.
#include <string>
#include <utility>

#include "addon/bindings/streams/hub_bridge.h"
#include "core/base/json_writer.h"

namespace sluice {

void HubBridge::follow_over(std::shared_ptr<redis::Port> port) {
  if (retired_) return;
  port_ = std::move(port);
  replicas_ =
      std::make_unique<Replicas>(*port_, hub, *this, Replicas::Options{.now = &Reactor::now});
}

void HubBridge::replicate(JobHandle job, JobOptions options, Nanos lease, Nanos age,
                          Nanos /*now*/) {
  if (replicas_) {
    replicas_->open(job, std::move(options), lease, age);
  } else {
    push(EventKind::kJobPurged, job, {});
  }
}

void HubBridge::adopt(JobHandle job, JobOptions options, std::uint64_t attempt,
                      std::uint64_t skip_ids, std::uint64_t request, Nanos /*now*/) {
  if (replicas_) {
    replicas_->adopt(job, std::move(options), attempt, skip_ids, request);
  } else {
    on_adopted(request, job, false);
  }
}

void HubBridge::report_data_loss(JobHandle job) {
  push(EventKind::kJobDataLoss, job, {});
}

void HubBridge::replication(std::uint64_t request) {
  std::string json = "{\"followed\":";
  append_json_number(json, replicas_ ? replicas_->size() : 0);
  json.append(",\"unsent_tokens\":");
  append_json_number(json, hub.unrecorded_tokens());
  json.append(",\"catch_ups\":{");
  if (replicas_) {
    const auto add = [&json, this](const char* name, CatchUp why) {
      json.append(json.back() == '{' ? "\"" : ",\"").append(name).append("\":");
      append_json_number(json, replicas_->catch_ups()[static_cast<std::size_t>(why)]);
    };
    add("open", CatchUp::kOpen);
    add("hole", CatchUp::kHole);
    add("silence", CatchUp::kSilence);
    add("reconnected", CatchUp::kReconnected);
    add("asked", CatchUp::kAsked);
  }
  json.append("}}");
  reply(request, std::move(json));
}

void HubBridge::on_replica_missing(JobHandle job) {
  push(EventKind::kReplicaMissing, job, {});
}

void HubBridge::on_replica_broken(JobHandle job, std::string problem) {
  push(EventKind::kReplicaBroken, job, std::move(problem));
}

void HubBridge::on_adopted(std::uint64_t request, JobHandle job, bool adopted) {
  if (!adopted) {
    push(EventKind::kJobFenced, job, 0.0);
    reply(request, "null");
    return;
  }
  const EventId last = hub.latest(job);
  std::string json = "{\"attempt\":";
  append_json_number(json, last.attempt);
  json.append(",\"last_event_id\":\"");
  append_event_id(json, last);
  json.append("\"}");
  reply(request, std::move(json));
}

// It may come from within a call of the hub.
void HubBridge::on_refreshed(std::uint64_t request) {
  const auto found = refreshing_.find(request);
  if (found == refreshing_.end()) return;
  answerable_.push_back(std::move(found->second));
  refreshing_.erase(found);
}

}  // namespace sluice
