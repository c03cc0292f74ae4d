-- needs conversations
--
-- Creates a conversation. Repeating it with the same id returns the same answer.
--
-- KEYS  conv:<id>
-- ARGV  prefix, clock, deadline, id, principal, count_max, bytes_max of the principal, bytes_max of all,
--       ttl_ms (empty: never expires), settings (JSON: {title, metadata (both JSON)}, both may be missing),
--       messages (JSON: a list of messages as JSON)
-- Returns {'OK', values, messages}, see `conv_shown`; {'FULL', limit (`count`, `principal` or `total`)};
-- {'LATE'}.
local prefix, id, principal = ARGV[1], ARGV[4], ARGV[5]

local now = math.floor(now_us(ARGV[2]))
if is_late(now, ARGV[3]) then return { 'LATE' } end
if is_undone(prefix, id) then return { 'LATE' } end
local context = { now = now, has_clock = ARGV[2] ~= '' }

if redis.call('EXISTS', KEYS[1]) == 0 then
  local settings, messages = cjson.decode(ARGV[10]), {}
  for i, message in ipairs(cjson.decode(ARGV[11])) do messages[i] = conv_dated(message, context) end
  local conv = {
    principal = principal, ttl_ms = ARGV[9], title = settings.title, metadata = settings.metadata,
  }
  local limits = {
    count = tonumber(ARGV[6]), of_principal = tonumber(ARGV[7]), total = tonumber(ARGV[8]),
  }
  local refusal = conv_add(prefix, id, conv, messages, limits, context)
  if refusal then return refusal end
end
return { 'OK', unpack(conv_shown(prefix, id)) }
