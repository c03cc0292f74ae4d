-- needs processes
--
-- Removes a process from the members. Others take over its remaining jobs.
--
-- KEYS  procs
-- ARGV  prefix, process
-- Returns the number of such jobs.
local prefix, process = ARGV[1], ARGV[2]

local left = redis.call('SCARD', prefix .. 'open:' .. process)
redis.call('HDEL', KEYS[1], process)
if left > 0 then
  redis.call('SADD', prefix .. 'dead', process)
  redis.call('PUBLISH', prefix .. 'all', 'dead ' .. process)
elseif redis.call('SISMEMBER', prefix .. 'dead', process) == 0 then
  forget_process(prefix, process)
end
return left
