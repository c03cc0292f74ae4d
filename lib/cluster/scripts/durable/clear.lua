-- needs durable
-- Deletes streams of a principal with their data, a bounded number at a time.
--
-- KEYS  durables:<space>
-- ARGV  prefix, clock, deadline, space, maximum count
-- Returns {'OK', number deleted; 0: none is left}; {'LATE'}.
local prefix, space = ARGV[1], ARGV[4]
if is_late(now_us(ARGV[2]), ARGV[3]) then return { 'LATE' } end

local paths = prefix .. 'durables:' .. space
local found = redis.call('HRANDFIELD', paths, tonumber(ARGV[5]), 'WITHVALUES')
for i = 1, #found, 2 do
  local head = durable_load(prefix, found[i + 1])
  if head then durable_remove(prefix, head) else redis.call('HDEL', paths, found[i]) end
end
return { 'OK', #found / 2 }
