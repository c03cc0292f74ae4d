-- Records that an attempt of a job was dispatched.
--
-- KEYS  job:<id>
-- ARGV  prefix, process, started_ms, attempt, upstream (empty for none)
-- Returns 'OK'; 'GONE'; 'ENDED'; 'FENCED', another process owns it.
local process, started_ms, attempt, upstream = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local job = KEYS[1]

local known = redis.call('HMGET', job, 'owner', 'status', 'attempt')
if not known[1] then return 'GONE' end
if known[1] ~= process then return 'FENCED' end
if ENDED[known[2]] then
  -- The ending arrived first, on another connection.
  if attempt == known[3] and upstream ~= '' then redis.call('HSET', job, 'upstream', upstream) end
  return 'ENDED'
end
redis.call('HSETNX', job, 'started_ms', started_ms)
redis.call('HSET', job, 'status', 'running')
if tonumber(attempt) > tonumber(known[3]) then redis.call('HSET', job, 'attempt', attempt) end
if upstream == '' then
  redis.call('HDEL', job, 'upstream')
else
  redis.call('HSET', job, 'upstream', upstream)
end
return 'OK'
