-- Erases an ended job and its idempotency key.
--
-- KEYS  job:<id>
-- ARGV  prefix, id, principal
-- Returns 'OK'; 'GONE', also for a job of another principal; 'OPEN', it has not ended.
local prefix, id, principal = ARGV[1], ARGV[2], ARGV[3]
local job = KEYS[1]

local status, of, choices, key, owner =
  unpack(redis.call('HMGET', job, 'status', 'principal', 'choices', 'key', 'owner'))
if not status or of ~= principal then return 'GONE' end
if not ENDED[status] then return 'OPEN' end
if key and redis.call('HGET', prefix .. key, 'job') == id then redis.call('DEL', prefix .. key) end
delete_job(prefix, id, principal, choices)
-- The owner has it in memory for its retention; others may have a replica.
if redis.call('HEXISTS', prefix .. 'procs', owner) == 1 then tell(prefix, owner, 'erased ' .. id) end
redis.call('PUBLISH', prefix .. 'all', 'erased ' .. id)
return 'OK'
