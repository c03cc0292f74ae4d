-- needs processes
--
-- Returns random jobs of a dead process; if it has none left, removes the rest of its data.
--
-- KEYS  dead
-- ARGV  prefix, process, count
-- Returns the ids of up to `count` jobs; none: all data of the process is removed.
local prefix, process, count = ARGV[1], ARGV[2], tonumber(ARGV[3])

local open = prefix .. 'open:' .. process
local ids = redis.call('SRANDMEMBER', open, count)
if #ids > 0 then return ids end
if redis.call('SREM', KEYS[1], process) == 1 then forget_process(prefix, process) end
return {}
