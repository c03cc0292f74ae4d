-- needs quota
--
-- Leases with an expiry, for a quota outside a gateway. KEYS[1] is a hash of open leases (id -> JSON:
-- the held resources), KEYS[2] a sorted set of their ids by expiry. Places are a sorted set by expiry, too, whose
-- members are `<lease>:<cost>`; several may be held at a time. For asks see fragments/quota.lua.

-- Time that keys are kept after the last expiry, in milliseconds.
local LEASES_SPARE_MS = 60000
-- Maximum holders in one ZRANGE.
local LEASES_LOOKED_UP = 100

local function leases_context(clock, at)
  local given = at ~= '' and at or clock
  return { now = math.floor(now_us(given)), has_clock = given ~= '' }
end

local function leases_cost_of(member) return tonumber(string.match(member, ':(%d+)$')) end

-- The number of places in use. It is stored in `<places>:used`, so that a reservation need not count the holders.
local function leases_in_use(places)
  if redis.call('EXISTS', places) == 0 then return 0 end
  local known = redis.call('GET', places .. ':used')
  if known then return tonumber(known) end
  local in_use = 0
  for _, member in ipairs(redis.call('ZRANGE', places, 0, -1)) do in_use = in_use + leases_cost_of(member) end
  redis.call('SET', places .. ':used', text_of(in_use))
  local ttl_ms = redis.call('PTTL', places)
  if ttl_ms > 0 then redis.call('PEXPIRE', places .. ':used', ttl_ms) end
  return in_use
end

local function leases_free(places, member)
  local in_use = leases_in_use(places)
  if redis.call('ZREM', places, member) == 0 then return end
  if redis.call('EXISTS', places) == 0 then
    redis.call('DEL', places .. ':used')
  else
    redis.call('SET', places .. ':used', text_of(in_use - leases_cost_of(member)), 'KEEPTTL')
  end
end

local function leases_drop(prefix, id, held)
  for _, each in ipairs(held) do
    if not each[4] then leases_free(prefix .. each[1], id .. ':' .. each[2]) end
  end
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end

-- Ends the leases that have expired; their reservations of buckets stay charged.
local function leases_expire(prefix, now)
  repeat
    local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', text_of(now), 'LIMIT', 0, 100)
    for _, id in ipairs(ids) do
      leases_drop(prefix, id, cjson.decode(redis.call('HGET', KEYS[1], id) or '[]'))
    end
  until #ids < 100
end

local function leases_keep(key, ttl_ms, context)
  if context.has_clock then
    redis.call('PERSIST', key)
  elseif redis.call('PTTL', key) < ttl_ms then
    redis.call('PEXPIRE', key, text_of(ttl_ms))
  end
end

-- Takes places for a lease.
local function leases_take(places, member, expires_us, ttl_ms, context)
  local in_use = leases_in_use(places) + leases_cost_of(member)
  redis.call('ZADD', places, expires_us, member)
  redis.call('SET', places .. ':used', text_of(in_use), 'KEEPTTL')
  leases_keep(places, ttl_ms, context)
  leases_keep(places .. ':used', ttl_ms, context)
end

-- The time at which this many places are free, by the expiry of the holders: each has at least one place, so the
-- number of holders examined is at most the number of missing places.
local function leases_free_at(places, missing)
  local at = 0
  while missing > 0 do
    local count = math.min(missing, LEASES_LOOKED_UP)
    local held = redis.call('ZRANGE', places, at, at + count - 1, 'WITHSCORES')
    for i = 1, #held, 2 do
      missing = missing - leases_cost_of(held[i])
      if missing <= 0 then return tonumber(held[i + 1]) end
    end
    if #held == 0 then return nil end
    at = at + count
  end
end

local function leases_judge_places(prefix, ask, cost, now)
  local places, limit = prefix .. ask[1], tonumber(ask[3])
  local left = limit - leases_in_use(places)
  local allowed = cost == 0 or cost <= left
  local last = redis.call('ZRANGE', places, -1, -1, 'WITHSCORES')[2]
  local reset = last and text_of(math.max(tonumber(last) - now, 0)) or '0'
  local retry = '0'
  if not allowed then
    local free_at = cost <= limit and leases_free_at(places, cost - left)
    retry = free_at and text_of(math.max(free_at - now, 0)) or QUOTA_NEVER
  end
  return { allowed and '1' or '0', text_of(math.max(left, 0)), retry, reset }
end

local function leases_judge(prefix, ask, cost, now)
  if ask[4] then return quota_judge(prefix, ask, cost, now) end
  return leases_judge_places(prefix, ask, cost, now)
end
