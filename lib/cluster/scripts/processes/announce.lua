-- Queues a message to all processes except one.
--
-- KEYS  procs
-- ARGV  prefix, the excluded process, message
-- Returns the number of recipients.
local prefix, but, message = ARGV[1], ARGV[2], ARGV[3]

local count = 0
for _, process in ipairs(redis.call('HKEYS', KEYS[1])) do
  if process ~= but then
    tell(prefix, process, message)
    count = count + 1
  end
end
return count
