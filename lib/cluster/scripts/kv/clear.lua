-- needs kv
-- Deletes keys of a space, a bounded number at a time.
--
-- KEYS  kv:<store>
-- ARGV  prefix, clock, deadline, run of the server, space, maximum count
-- Returns {'OK', number deleted; 0: none is left}; {'LATE'}.
local kv = kv_open(KEYS[1], ARGV[5])
local now = now_us(ARGV[2])
if is_late(now, ARGV[3]) then return { 'LATE' } end

local keys = redis.call('ZRANGE', kv.order, 0, tonumber(ARGV[6]) - 1)
if #keys == 0 then return { 'OK', 0 } end
local version = kv_version_before_change(kv, ARGV[4])
for _, key in ipairs(keys) do
  local head = kv_head(kv, key)
  if kv_is_alive(head, now) then
    version = version + 1
    kv_note(kv, KV_DELETE, version, key)
  end
  kv_take_out(kv, key, head)
end
redis.call('HSET', kv.store, 'version', text_of(version))
kv_publish(kv)
return { 'OK', #keys }
