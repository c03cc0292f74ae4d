-- Changes keys of callers, if nobody has changed one since they were read, and tells all processes.
--
-- KEYS  keys (hash: id -> JSON of the entry, ' version' -> number of changes)
-- ARGV  prefix, expected version, version that the new one is above, then id and JSON of each changed
--       entry; empty JSON: no entry
-- Answers {'OK', version}; {'OTHER'}, somebody has changed one.
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
