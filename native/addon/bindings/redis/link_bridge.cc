#include "addon/bindings/redis/link_bridge.h"

#include <utility>

#include "addon/napi/reactor_wrap.h"
#include "core/base/json_writer.h"
#include "core/redis/reply_json.h"

namespace sluice {

RedisBridge::RedisBridge(redis::LinkOptions options, Reactor& reactor,
                         std::shared_ptr<EventQueue> events, double machine_id)
    : events_(std::move(events)),
      machine_id_(machine_id),
      link_(std::move(options), reactor, *this) {}

void RedisBridge::set_addresses(std::vector<redis::Address> addresses, Nanos now) {
  link().set_addresses(std::move(addresses), now);
}

void RedisBridge::rename(std::string process, Nanos now) {
  link().rename(std::move(process), now);
}

void RedisBridge::subscribe(std::string channel) {
  link().subscribe(std::move(channel), *this);
}

void RedisBridge::unsubscribe(std::string channel) {
  link().unsubscribe(channel);
}

void RedisBridge::on_state(redis::State state, std::string_view detail) {
  events_->push(EventKind::kRedisState, machine_id_, std::string(redis::name_of(state)),
                std::string(detail));
}

void RedisBridge::on_beat(Nanos sent, Nanos answered, const redis::Reply& answer) {
  std::string json;
  redis::append_json(json, answer);
  events_->push(EventKind::kRedisBeat, machine_id_,
                std::vector<double>{ms_from_nanos(sent), ms_from_nanos(answered)}, std::move(json));
}

void RedisBridge::on_server(const redis::ServerInfo& info) {
  std::string json("{\"version\":");
  append_json_string(json, info.version);
  json.append(",\"mode\":");
  append_json_string(json, info.mode);
  json.append(",\"evictionPolicy\":");
  append_json_string(json, info.eviction_policy);
  json.append(",\"memoryMax\":");
  append_json_number(json, info.memory_max);
  json.append(",\"writesAppendFile\":").append(info.writes_append_file ? "true" : "false");
  json.push_back('}');
  events_->push(EventKind::kRedisServer, machine_id_, std::move(json));
}

void RedisBridge::on_subscribed(std::string_view channel) {
  events_->push(EventKind::kRedisSubscribed, machine_id_, std::string(channel));
}

void RedisBridge::on_message(std::string_view channel, std::string_view payload) {
  events_->push(EventKind::kRedisMessage, machine_id_, std::string(channel), std::string(payload));
}

}  // namespace sluice
