-- Changes keys of callers if none has changed since they were read, and notifies all processes.
--
-- KEYS  keys (hash: id -> JSON of the entry, ' version' -> number of changes)
-- ARGV  prefix, expected version, lower bound of the new version (exclusive), then id and JSON of each changed
--       entry; empty JSON: removes the entry
-- Returns {'OK', version}; {'OTHER'}, a key has changed.
local prefix, expected, above = ARGV[1], ARGV[2], ARGV[3]
local keys = KEYS[1]

if (redis.call('HGET', keys, ' version') or '0') ~= expected then return { 'OTHER' } end
for i = 4, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', keys, ARGV[i])
  else
    redis.call('HSET', keys, ARGV[i], ARGV[i + 1])
  end
end
local version = string.format('%.0f', math.max(tonumber(expected), tonumber(above)) + 1)
redis.call('HSET', keys, ' version', version)
redis.call('PUBLISH', prefix .. 'all', 'keys')
return { 'OK', version }
