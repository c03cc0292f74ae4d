-- needs durable
-- Looks at streams that readers wait for, which keeps them from expiring for want of use.
--
-- KEYS  durable
-- ARGV  prefix, clock, deadline (not looked at), ids
-- Answers {'OK', then of each the position of its end, or `-`: it is closed, deleted or gone, or has expired}.
local prefix = ARGV[1]
local now_ms = math.floor(now_us(ARGV[2]) / 1000)

local answer = { 'OK' }
for i = 4, #ARGV do
  local head = durable_load(prefix, ARGV[i])
  -- A time to live goes on while there is a reader, a fixed time does not.
  local is_over = head and head.ttl_ms == '' and durable_is_over(head, now_ms)
  if not head or head.closed ~= '' or head.deleted ~= '' or is_over then
    answer[#answer + 1] = '-'
  else
    durable_touch(prefix, head, now_ms)
    answer[#answer + 1] = head.tail
  end
end
return answer
