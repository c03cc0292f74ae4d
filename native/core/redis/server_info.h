// The INFO of a Redis server, and the check of its version, role and settings.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/redis/failure.h"

namespace sluice::redis {

/// The fields of INFO that count.
struct ServerInfo {
  std::string version;              ///< `redis_version`
  std::string mode;                 ///< `redis_mode`: standalone, sentinel, cluster
  std::string eviction_policy;      ///< `maxmemory_policy`
  std::uint64_t memory_max = 0;     ///< `maxmemory` in bytes; 0: no bound
  bool is_loading = false;          ///< `loading`
  bool is_replica = false;          ///< `role` is slave
  bool refuses_writes = false;      ///< a replica with `slave_read_only`
  bool writes_append_file = false;  ///< `aof_enabled`

  bool operator==(const ServerInfo&) const = default;
};

/// Reads the text of INFO. Unknown lines are ignored, absent fields keep their defaults.
ServerInfo parse_server_info(std::string_view text);

/// kOk if the server can be used, else the reason.
Failure check_server(const ServerInfo& info);

}  // namespace sluice::redis
