-- needs leases
--
-- Moves the expiry of a lease.
--
-- KEYS  the open leases, their expiry (see fragments/leases.lua)
-- ARGV  prefix, clock, deadline, now_us (empty: the clock's), id, lease_us
-- Returns 1; 0, it had already ended; {'LATE'}.
local prefix, id, lease_us = ARGV[1], ARGV[5], tonumber(ARGV[6])

if is_late(now_us(ARGV[2]), ARGV[3]) then return { 'LATE' } end
local context = leases_context(ARGV[2], ARGV[4])
leases_expire(prefix, context.now)
local lease = redis.call('HGET', KEYS[1], id)
if not lease then return 0 end
local expires_us = text_of(context.now + lease_us)
local ttl_ms = math.ceil(lease_us / 1000) + LEASES_SPARE_MS
for _, each in ipairs(cjson.decode(lease)) do
  if not each[4] and each[2] ~= '0' then
    redis.call('ZADD', prefix .. each[1], expires_us, id .. ':' .. each[2])
    leases_keep(prefix .. each[1], ttl_ms, context)
    leases_keep(prefix .. each[1] .. ':used', ttl_ms, context)
  end
end
redis.call('ZADD', KEYS[2], expires_us, id)
leases_keep(KEYS[1], ttl_ms, context)
leases_keep(KEYS[2], ttl_ms, context)
return 1
