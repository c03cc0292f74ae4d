-- needs kv
-- Reads keys.
--
-- KEYS  kv:<store>
-- ARGV  prefix, clock, deadline (both as in commit; the deadline is ignored), space, whether
--       to return values (1 or 0), number of keys, the keys, then the reads of a transaction, as
--       kv_obstacle takes it
-- Returns {'OK', version of the store, now_us, entries}: an entry is {version, kind, bytes, end or '-'
-- and the value if requested}, or nil; {'MOVED'}; {'CONFLICT'}.
local kv = kv_open(KEYS[1], ARGV[4])
local with_values, count = ARGV[5] == '1', tonumber(ARGV[6])
local now = now_us(ARGV[2])
local at = 7 + count

local obstacle = kv_obstacle(kv, now, at)
if obstacle then return { obstacle } end
local entries = {}
for i = 7, 6 + count do
  local head = kv_head(kv, ARGV[i])
  if kv_is_alive(head, now) then
    if ARGV[at] ~= '' and head.version > tonumber(ARGV[at]) then return { 'CONFLICT' } end
    local entry = {
      text_of(head.version), head.kind, text_of(head.bytes), head.ends and kv_text(head.ends) or '-',
    }
    if with_values then entry[5] = redis.call('HGET', kv.data, ARGV[i]) end
    entries[#entries + 1] = entry
  else
    entries[#entries + 1] = false
  end
end
return { 'OK', text_of(kv_version(kv)), kv_text(now), entries }
