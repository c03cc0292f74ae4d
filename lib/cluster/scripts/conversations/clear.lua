-- needs conversations
--
-- Deletes conversations of a principal.
--
-- KEYS  convs:<principal>
-- ARGV  prefix, clock, deadline, principal, max
-- Returns {'OK', number deleted}, at most `max`; {'LATE'}.
local prefix, principal, max = ARGV[1], ARGV[4], tonumber(ARGV[5])

local now = math.floor(now_us(ARGV[2]))
if is_late(now, ARGV[3]) then return { 'LATE' } end
local context = { now = now, has_clock = ARGV[2] ~= '' }

local ids = redis.call('ZRANGE', KEYS[1], 0, max - 1)
for _, id in ipairs(ids) do
  local conv = conv_load(prefix, id, principal, context)
  if conv then conv_delete(prefix, id, conv) end
  redis.call('ZREM', KEYS[1], id)
end
return { 'OK', #ids }
