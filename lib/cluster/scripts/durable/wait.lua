-- needs durable
-- Checks streams with waiting readers, and renews their time to live.
--
-- KEYS  durable
-- ARGV  prefix, clock, deadline (ignored), ids
-- Returns {'OK', then for each the position of its end, or `-` if it is closed, deleted, missing or expired}.
local prefix = ARGV[1]
local now_ms = math.floor(now_us(ARGV[2]) / 1000)

local answer = { 'OK' }
for i = 4, #ARGV do
  local head = durable_load(prefix, ARGV[i])
  -- A reader renews a time to live, but not a fixed expiry time.
  local is_over = head and head.ttl_ms == '' and durable_is_over(head, now_ms)
  if not head or head.closed ~= '' or head.deleted ~= '' or is_over then
    answer[#answer + 1] = '-'
  else
    durable_touch(prefix, head, now_ms)
    answer[#answer + 1] = head.tail
  end
end
return answer
