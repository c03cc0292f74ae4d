-- needs kv
-- Frees expired entries of all spaces.
--
-- KEYS  kv:<store>
-- ARGV  prefix, clock, deadline (ignored), maximum count
-- Returns {'OK', now_us, the first end of the remaining entries (empty: none), keys, bytes, version, told,
-- born}.
local kv = kv_open(KEYS[1], '')
local now = now_us(ARGV[2])

local left = tonumber(ARGV[4])
while left > 0 do
  local count = kv_reclaim(kv, now, math.min(left, KV_CHUNK))
  if count == 0 then break end
  left = left - count
end
kv_publish(kv)
local first = redis.call('ZRANGE', kv.ends, 0, 0, 'WITHSCORES')[2]
local all = redis.call('HMGET', kv.store, 'keys', 'bytes', 'version', 'told', 'born')
return {
  'OK', kv_text(now), first or '', all[1] or '0', all[2] or '0', all[3] or '0', all[4] or '0',
  all[5] or '',
}
