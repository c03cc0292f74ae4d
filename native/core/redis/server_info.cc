#include "core/redis/server_info.h"

#include <charconv>

namespace sluice::redis {

namespace {

// The first version with everything that the log needs; 6.2 has XADD's NOMKSTREAM and MINID.
constexpr std::uint64_t kMajorMin = 6;
constexpr std::uint64_t kMinorMin = 2;

// The number at the front of `text`, which it removes; 0 for none.
std::uint64_t take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  text.remove_prefix(
      static_cast<std::size_t>(std::from_chars(text.data(), end, number).ptr - text.data()));
  return number;
}

bool is_old(std::string_view version) {
  const std::uint64_t major = take_number(version);
  if (version.starts_with('.')) version.remove_prefix(1);
  const std::uint64_t minor = take_number(version);
  return major < kMajorMin || (major == kMajorMin && minor < kMinorMin);
}

void set_field(ServerInfo& info, std::string_view name, std::string_view value) {
  if (name == "redis_version") info.version = value;
  if (name == "redis_mode") info.mode = value;
  if (name == "maxmemory_policy") info.eviction_policy = value;
  if (name == "maxmemory") info.memory_max = take_number(value);
  if (name == "loading") info.is_loading = value == "1";
  if (name == "role") info.is_replica = value == "slave";
  if (name == "slave_read_only") info.refuses_writes = value == "1";
  if (name == "aof_enabled") info.writes_append_file = value == "1";
}

}  // namespace

ServerInfo parse_server_info(std::string_view text) {
  ServerInfo info;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    set_field(info, line.substr(0, colon), line.substr(colon + 1));
  }
  info.refuses_writes = info.refuses_writes && info.is_replica;
  return info;
}

Failure check_server(const ServerInfo& info) {
  if (info.version.empty()) {
    return {State::kRefused, "the server does not name its version in INFO"};
  }
  if (is_old(info.version)) {
    return {State::kRefused, "Redis 6.2 or later is needed, this is " + info.version};
  }
  if (info.mode == "sentinel") {
    return {State::kRefused, "this is a Sentinel, which holds no data"};
  }
  if (info.is_loading) return {State::kUnreachable, "Redis is loading its data"};
  if (info.refuses_writes) return {State::kReadonly, "this Redis is a replica, and read-only"};
  return {State::kOk, {}};
}

}  // namespace sluice::redis
