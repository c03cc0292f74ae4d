-- needs conversations
--
-- Creates a conversation from the first messages of another one, without those of a running turn. Again with
-- the same id: the same answer.
--
-- KEYS  conv:<id>, conv:<source>
-- ARGV  prefix, clock, deadline, id, principal, count_max, bytes_max of the principal, bytes_max of all,
--       source, at (number of messages; empty: all), settings (JSON: {title, metadata (both JSON), ttl_ms};
--       missing ones are copied from the source)
-- Returns see `create`; {'GONE'}, the principal has no such source; {'BEYOND', count}, the source has fewer
-- messages than `at`.
local prefix, id, principal, source, at = ARGV[1], ARGV[4], ARGV[5], ARGV[9], ARGV[10]

local now = math.floor(now_us(ARGV[2]))
if is_late(now, ARGV[3]) then return { 'LATE' } end
if is_undone(prefix, id) then return { 'LATE' } end
local context = { now = now, has_clock = ARGV[2] ~= '' }

if redis.call('EXISTS', KEYS[1]) == 0 then
  local of = conv_load(prefix, source, principal, context)
  if not of then return { 'GONE' } end
  local count = at == '' and of.count or tonumber(at)
  if count > of.count then return { 'BEYOND', text_of(of.count) } end
  local settings = cjson.decode(ARGV[11])
  local conv = {
    principal = principal, ttl_ms = settings.ttl_ms or of.ttl_ms, title = settings.title or of.title,
    metadata = settings.metadata or of.metadata,
    forked = cjson.encode({ id = source, count = count }),
  }
  local limits = {
    count = tonumber(ARGV[6]), of_principal = tonumber(ARGV[7]), total = tonumber(ARGV[8]),
  }
  local messages = {}
  if count > 0 then messages = redis.call('LRANGE', conv_list_key(prefix, source), 0, count - 1) end
  local refusal = conv_add(prefix, id, conv, messages, limits, context)
  if refusal then return refusal end
end
return { 'OK', unpack(conv_shown(prefix, id)) }
