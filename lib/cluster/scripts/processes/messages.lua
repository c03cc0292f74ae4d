-- Takes the messages to a process.
--
-- KEYS  ctl:<process>
-- ARGV  prefix
local messages = redis.call('LRANGE', KEYS[1], 0, -1)
if #messages > 0 then redis.call('DEL', KEYS[1]) end
return messages
