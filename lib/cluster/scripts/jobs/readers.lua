-- Records whether a process has readers of a job of another process.
--
-- KEYS  job:<id>
-- ARGV  prefix, process, id, present (`1`, `0`)
-- Returns 'OK'; 'GONE', no such job; 'ENDED', its readers no longer matter; 'BURIED', the process
-- is no member.
local prefix, process, id, present = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local job, readers, reading = KEYS[1], prefix .. 'readers:' .. id, prefix .. 'reading:' .. process

local owner, status = unpack(redis.call('HMGET', job, 'owner', 'status'))
if not owner then
  redis.call('SREM', reading, id)
  return 'GONE'
end
if present == '1' then
  if ENDED[status] then return 'ENDED' end
  if redis.call('HEXISTS', prefix .. 'procs', process) == 0 then return 'BURIED' end
  redis.call('HSET', readers, process, '1')
  redis.call('PEXPIRE', readers, redis.call('PTTL', job))
  redis.call('SADD', reading, id)
else
  redis.call('HDEL', readers, process)
  redis.call('SREM', reading, id)
end
if owner ~= process and owner ~= '-' and not ENDED[status] then tell(prefix, owner, 'readers ' .. id) end
return 'OK'
