-- needs kv
-- Reads keys.
--
-- KEYS  kv:<store>
-- ARGV  prefix, clock, deadline (both as of commit; the deadline is not looked at), space, whether
--       values are wanted (1 or 0), number of keys, the keys, then what a transaction has read, as
--       kv_obstacle takes it
-- Answers {'OK', version of the store, now_us, entries}: an entry is {version, kind, bytes, end or '-'
-- and the value if it is wanted}, or nil; {'MOVED'}; {'CONFLICT'}.
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
