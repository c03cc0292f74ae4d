-- Offers a job: any process may take it. With `again` the next attempt begins.
--
-- KEYS  job:<id>
-- ARGV  prefix, process, id, again (`1`, `0`)
-- Returns 'OK', also for a job that was offered before; 'ENDED'; 'GONE'; 'FENCED', another process owns it.
local prefix, process, id, again = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local job = KEYS[1]

local owner, status, attempt, choices =
  unpack(redis.call('HMGET', job, 'owner', 'status', 'attempt', 'choices'))
if not owner then return 'GONE' end
if ENDED[status] then return 'ENDED' end
if owner == '-' then return 'OK' end
if owner ~= process then return 'FENCED' end
if again == '1' then
  attempt = math.max(tonumber(attempt), (progress_of(prefix, id, choices))) + 1
  begin_attempt(prefix, id, choices, attempt)
  redis.call('HSET', job, 'attempt', text_of(attempt))
end
redis.call('HSET', job, 'owner', '-', 'status', 'queued')
redis.call('HDEL', job, 'taken')
redis.call('SREM', prefix .. 'open:' .. process, id)
redis.call('SADD', prefix .. 'open:-', id)
redis.call('PUBLISH', prefix .. 'all', 'open ' .. id)
return 'OK'
