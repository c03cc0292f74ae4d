-- needs leases
--
-- KEYS  the open leases, their expiry (see fragments/leases.lua)
-- ARGV  prefix, clock, deadline
-- Returns the number of open leases; {'LATE'}.
if is_late(now_us(ARGV[2]), ARGV[3]) then return { 'LATE' } end
leases_expire(ARGV[1], leases_context(ARGV[2], '').now)
return redis.call('HLEN', KEYS[1])
