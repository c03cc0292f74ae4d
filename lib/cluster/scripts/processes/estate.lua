-- needs processes
--
-- Jobs of a dead process, chosen at random; or, when it has none, the removal of its last traces.
--
-- KEYS  dead
-- ARGV  prefix, process, count
-- Answers the ids of up to `count` jobs; none: nothing is left of the process.
local prefix, process, count = ARGV[1], ARGV[2], tonumber(ARGV[3])

local open = prefix .. 'open:' .. process
local ids = redis.call('SRANDMEMBER', open, count)
if #ids > 0 then return ids end
if redis.call('SREM', KEYS[1], process) == 1 then forget_process(prefix, process) end
return {}
