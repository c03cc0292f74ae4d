-- Counts a process dead whose beat has not changed.
--
-- KEYS  procs
-- ARGV  prefix, clock, deadline, observer, process, beat that the observer has seen
-- Returns 'OK'; 'ALIVE', the beat has changed; 'GONE', no such member; 'BURIED', the observer is
-- not a member itself; 'LATE', because a server that was frozen meanwhile has received no beats either.
local prefix, observer, process, beat = ARGV[1], ARGV[4], ARGV[5], ARGV[6]

if is_late(now_us(ARGV[2]), ARGV[3]) then return 'LATE' end
if redis.call('HEXISTS', KEYS[1], observer) == 0 then return 'BURIED' end
local current = redis.call('HGET', KEYS[1], process)
if not current then return 'GONE' end
if current ~= beat then return 'ALIVE' end
redis.call('HDEL', KEYS[1], process)
redis.call('SADD', prefix .. 'dead', process)
redis.call('PUBLISH', prefix .. 'all', 'dead ' .. process)
return 'OK'
