-- needs leases
--
-- Reserves all asks under a lease with an expiry, or nothing.
--
-- KEYS  the open leases, their expiry (see fragments/leases.lua), the last id
-- ARGV  prefix, clock, deadline, now_us (empty: the clock's), lease_us, leases_max, asks (JSON)
-- Returns {'OK', decisions (JSON), id, expires_us}; {'REFUSED', decisions (JSON), full_us}, the wait in
-- microseconds until a lease expires if there are too many leases, else empty; {'LATE'}.
local prefix, lease_us, leases_max = ARGV[1], tonumber(ARGV[5]), tonumber(ARGV[6])
local asks = cjson.decode(ARGV[7])

if is_late(now_us(ARGV[2]), ARGV[3]) then return { 'LATE' } end
local context = leases_context(ARGV[2], ARGV[4])
local now = context.now
leases_expire(prefix, now)

local decisions, full_us = {}, ''
if redis.call('HLEN', KEYS[1]) >= leases_max then
  full_us = text_of(tonumber(redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]) - now)
end
local allowed = full_us == ''
for i, ask in ipairs(asks) do
  decisions[i] = leases_judge(prefix, ask, tonumber(ask[2]), now)
  allowed = allowed and decisions[i][1] == '1'
end
if not allowed then return { 'REFUSED', cjson.encode(decisions), full_us } end

-- Ids are not reused after Redis has lost its data: they are never below the current time.
local last = tonumber(redis.call('GET', KEYS[3]) or 0)
local id = text_of(math.max(last + 1, now, 1))
redis.call('SET', KEYS[3], id)
local expires_us = now + lease_us
local ttl_ms = math.ceil(lease_us / 1000) + LEASES_SPARE_MS
local held = {}
for i, ask in ipairs(asks) do
  local cost = tonumber(ask[2])
  if cost > 0 and ask[4] then
    quota_consume(prefix, ask, cost, context)
  elseif cost > 0 then
    leases_take(prefix .. ask[1], id .. ':' .. ask[2], text_of(expires_us), ttl_ms, context)
  end
  decisions[i] = leases_judge(prefix, ask, 0, now)
  held[i] = { ask[1], ask[2], ask[3], ask[4] }
end
redis.call('HSET', KEYS[1], id, cjson.encode(held))
redis.call('ZADD', KEYS[2], text_of(expires_us), id)
leases_keep(KEYS[1], ttl_ms, context)
leases_keep(KEYS[2], ttl_ms, context)
return { 'OK', cjson.encode(decisions), id, text_of(expires_us) }
