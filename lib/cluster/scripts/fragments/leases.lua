-- needs quota
--
-- Leases with an expiry, of a quota that is no gateway's. KEYS[1] is a hash of open leases (id -> JSON:
-- what is held), KEYS[2] a sorted set of their ids by expiry. Places are a sorted set by expiry, too, whose
-- members are `<lease>:<cost>`; several may be held at a time. Asks are those of fragments/quota.lua.

-- Keys are kept for this long after the last expiry, in milliseconds.
local LEASES_SPARE_MS = 60000

local function leases_context(clock, at)
  local given = at ~= '' and at or clock
  return { now = math.floor(now_us(given)), has_clock = given ~= '' }
end

local function leases_drop(prefix, id, held)
  for _, each in ipairs(held) do
    if not each[4] then redis.call('ZREM', prefix .. each[1], id .. ':' .. each[2]) end
  end
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end

-- Ends the leases that have expired; what they reserved of buckets stays charged.
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

local function leases_cost_of(member) return tonumber(string.match(member, ':(%d+)$')) end

local function leases_judge_places(prefix, ask, cost, now)
  local places, limit = prefix .. ask[1], tonumber(ask[3])
  local held, in_use = redis.call('ZRANGE', places, 0, -1, 'WITHSCORES'), 0
  for i = 1, #held, 2 do in_use = in_use + leases_cost_of(held[i]) end
  local left = limit - in_use
  local allowed = cost == 0 or cost <= left
  local retry, reset = '0', '0'
  if #held > 0 then reset = text_of(math.max(tonumber(held[#held]) - now, 0)) end
  if not allowed then
    retry = QUOTA_NEVER
    local missing = cost - left
    for i = 1, (cost <= limit) and #held or 0, 2 do
      missing = missing - leases_cost_of(held[i])
      if missing <= 0 then
        retry = text_of(math.max(tonumber(held[i + 1]) - now, 0))
        break
      end
    end
  end
  return { allowed and '1' or '0', text_of(math.max(left, 0)), retry, reset }
end

local function leases_judge(prefix, ask, cost, now)
  if ask[4] then return quota_judge(prefix, ask, cost, now) end
  return leases_judge_places(prefix, ask, cost, now)
end
