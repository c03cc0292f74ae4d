-- Leaves a message to all processes but one.
--
-- KEYS  procs
-- ARGV  prefix, the process that is left out, message
-- Answers how many processes have got it.
local prefix, but, message = ARGV[1], ARGV[2], ARGV[3]

local count = 0
for _, process in ipairs(redis.call('HKEYS', KEYS[1])) do
  if process ~= but then
    tell(prefix, process, message)
    count = count + 1
  end
end
return count
