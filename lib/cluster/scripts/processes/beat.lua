-- Records that a process is alive, and returns news for it. Called natively.
--
-- KEYS  procs
-- ARGV  prefix, process, increment
-- Returns {seconds, microseconds, 1 or 0 (not a member), the flat fields of procs, size of
-- `dead`, size of `open:-`, the messages to the process}.
local prefix, process, increment = ARGV[1], ARGV[2], ARGV[3]

local time = redis.call('TIME')
local is_member = redis.call('HEXISTS', KEYS[1], process)
if is_member == 1 then redis.call('HINCRBY', KEYS[1], process, increment) end
local mailbox = prefix .. 'ctl:' .. process
local messages = redis.call('LRANGE', mailbox, 0, -1)
if #messages > 0 then redis.call('DEL', mailbox) end
return {
  tonumber(time[1]), tonumber(time[2]), is_member, redis.call('HGETALL', KEYS[1]),
  redis.call('SCARD', prefix .. 'dead'), redis.call('SCARD', prefix .. 'open:-'), messages,
}
