-- Records that an admitted job was placed: its idempotency key has an answer from now on.
--
-- KEYS  job:<id>
-- ARGV  prefix, key_ttl_ms, answer (JSON; empty without a key)
-- Returns 'OK'; 'GONE', no such job. The owner is not compared: a job that was taken over had been admitted.
local prefix, key_ttl_ms, answer = ARGV[1], ARGV[2], ARGV[3]
local job = KEYS[1]

local owner, key = unpack(redis.call('HMGET', job, 'owner', 'key'))
if not owner then return 'GONE' end
redis.call('HSET', job, 'placed', '1')
if not key then return 'OK' end
local idem, id = prefix .. key, string.sub(job, #prefix + 5)
if redis.call('HGET', idem, 'job') == id then
  redis.call('HSET', idem, 'answer', answer)
  redis.call('PEXPIRE', idem, key_ttl_ms)
end
return 'OK'
