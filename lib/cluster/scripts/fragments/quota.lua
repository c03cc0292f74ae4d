-- Limits: buckets, which refill over a window, and places, which are held for a time.
--
-- An ask is {key, cost, limit} for places, and {key, cost, limit, window_us, since_us, earlier} for a
-- bucket; all but the key are whole numbers as strings. `since_us` (optional) is the time at which the
-- limit came into force; `earlier` (optional) lists earlier limits, {limit, window_us, since_us} each, oldest
-- first. A bucket is a hash `q:...`, a set of places `c:...`; its members are the ids of
-- the holders. A decision is {allowed (`1`, `0`), remaining, retry_us, reset_us}, as strings.
--
-- Numbers of tokens and of microseconds are whole and below 2^53, and their products are never formed:
-- the arithmetic is exact.

local QUOTA_MAX = 9007199254740991
-- A wait that never ends.
local QUOTA_NEVER = '-1'
-- Maximum members of a set that a refusal checks for dead holders.
local QUOTA_LOOKED_UP_MAX = 64

-- Quotient and remainder of a * b / c; c is below 2^52.
local function quota_scale(a, b, c)
  local product = a * b
  if product <= QUOTA_MAX then
    local rest = math.fmod(product, c)
    return (product - rest) / c, rest
  end
  -- Uses the binary digits of a, from the highest.
  local digit = 1
  while digit * 2 <= a do digit = digit * 2 end
  local part = math.fmod(b, c)
  local times = (b - part) / c
  local whole, rest = 0, 0
  while digit >= 1 do
    whole, rest = whole * 2, rest * 2
    if rest >= c then whole, rest = whole + 1, rest - c end
    if a >= digit then
      a = a - digit
      whole, rest = whole + times, rest + part
      if rest >= c then whole, rest = whole + 1, rest - c end
    end
    digit = digit / 2
  end
  return whole, rest
end

-- A bucket gains `limit` tokens in a window; without a limit it pays off its debts at one.
local function quota_gain_of(bucket) return math.max(bucket.limit, 1) end

local function quota_refill(bucket, now)
  local elapsed = now - bucket.at
  -- A small step back comes from two different clocks; time stops until they agree.
  if elapsed > 0 or elapsed <= -10000 then bucket.at = now end
  if elapsed <= 0 or bucket.tokens >= bucket.limit then return end
  local gained, part = quota_scale(elapsed, quota_gain_of(bucket), bucket.window)
  part = part + bucket.part
  if part >= bucket.window then gained, part = gained + 1, part - bucket.window end
  if gained >= bucket.limit - bucket.tokens then
    bucket.tokens, bucket.part = bucket.limit, 0
  else
    bucket.tokens, bucket.part = bucket.tokens + gained, part
  end
end

-- The wait until the bucket has this many tokens, in microseconds, rounded up.
local function quota_wait(bucket, tokens, now)
  if tokens <= bucket.tokens then return 0 end
  local gain = quota_gain_of(bucket)
  local wait, rest = quota_scale(tokens - bucket.tokens, bucket.window, gain)
  rest = rest - bucket.part
  local over = math.fmod(rest, gain)
  local more = (rest - over) / gain
  if over > 0 then more = more + 1 end
  return math.max(wait + more + bucket.at - now, 0)
end

-- The usage is kept. A smaller limit empties the bucket but creates no debt; an existing debt stays.
local function quota_change(bucket, limit, window)
  local tokens = bucket.tokens - bucket.limit + limit
  if tokens < 0 and tokens < bucket.tokens then
    bucket.tokens, bucket.part = math.min(bucket.tokens, 0), 0
  else
    bucket.tokens = tokens
    bucket.part = quota_scale(bucket.part, window, bucket.window)
  end
  bucket.limit, bucket.window = limit, window
end

-- Converts a bucket to the limit of an ask, through all limits set since its own.
local function quota_apply_limit(bucket, ask, now)
  local steps = { unpack(ask[6] or {}) }
  steps[#steps + 1] = { ask[3], ask[4], ask[5] }
  local first = #steps
  for i = #steps, 1, -1 do
    local step = steps[i]
    if tonumber(step[1]) == bucket.limit and tonumber(step[2]) == bucket.window then first = i + 1 end
  end
  for i = first, #steps do
    local limit, window, since = tonumber(steps[i][1]), tonumber(steps[i][2]), tonumber(steps[i][3])
    quota_refill(bucket, math.max(bucket.at, math.min(since or now, now)))
    quota_change(bucket, limit, window)
  end
end

-- The bucket of an ask at `now`, under the limit of the ask, or under its own limit with `keeps_limit`. A
-- bucket A missing bucket is full.
local function quota_bucket(prefix, ask, now, keeps_limit)
  local limit, window = tonumber(ask[3]), tonumber(ask[4])
  local known = redis.call('HMGET', prefix .. ask[1], 'tokens', 'part', 'at', 'limit', 'window')
  if not known[1] then return { tokens = limit, part = 0, at = now, limit = limit, window = window } end
  local bucket = {
    tokens = tonumber(known[1]), part = tonumber(known[2]), at = tonumber(known[3]),
    limit = tonumber(known[4]), window = tonumber(known[5]),
  }
  if not keeps_limit and (ask[6] or bucket.limit ~= limit or bucket.window ~= window) then
    quota_apply_limit(bucket, ask, now)
  end
  quota_refill(bucket, now)
  return bucket
end

-- Keeps a bucket until it is full. With the clock of a test it does not expire; only usage removes it.
local function quota_keep(prefix, key, bucket, now, has_clock)
  local wait = quota_wait(bucket, bucket.limit, now)
  if wait == 0 and bucket.tokens >= bucket.limit then
    redis.call('DEL', prefix .. key)
    return
  end
  redis.call(
    'HSET', prefix .. key, 'tokens', text_of(bucket.tokens), 'part', text_of(bucket.part),
    'at', text_of(bucket.at), 'limit', text_of(bucket.limit), 'window', text_of(bucket.window)
  )
  if has_clock then
    redis.call('PERSIST', prefix .. key)
  else
    redis.call('PEXPIRE', prefix .. key, text_of(math.min(math.ceil(wait / 1000) + 1, 1e14)))
  end
end

local function quota_judge_bucket(bucket, cost, now)
  local allowed = cost == 0 or cost <= bucket.tokens
  local retry = '0'
  if not allowed then
    retry = cost > bucket.limit and QUOTA_NEVER or text_of(quota_wait(bucket, cost, now))
  end
  return {
    allowed and '1' or '0', text_of(math.max(bucket.tokens, 0)), retry,
    text_of(quota_wait(bucket, bucket.limit, now)),
  }
end

-- Removes places whose holder no longer exists: a job that expired when no process was left to end it.
local function quota_drop_stale(prefix, places)
  for _, id in ipairs(redis.call('SRANDMEMBER', places, QUOTA_LOOKED_UP_MAX)) do
    local holder = string.find(id, '^lease_') and 'lease:' or 'job:'
    if redis.call('EXISTS', prefix .. holder .. id) == 0 then redis.call('SREM', places, id) end
  end
end

local function quota_judge_places(prefix, ask, cost)
  local places, limit = prefix .. ask[1], tonumber(ask[3])
  local left = limit - redis.call('SCARD', places)
  if cost > left and cost <= limit then
    quota_drop_stale(prefix, places)
    left = limit - redis.call('SCARD', places)
  end
  local allowed = cost == 0 or cost <= left
  local retry = cost > limit and QUOTA_NEVER or '0'
  return { allowed and '1' or '0', text_of(math.max(left, 0)), retry, '0' }
end

local function quota_judge(prefix, ask, cost, now)
  if not ask[4] then return quota_judge_places(prefix, ask, cost) end
  return quota_judge_bucket(quota_bucket(prefix, ask, now), cost, now)
end

-- Takes a cost, even if it is not available; a negative cost gives back.
local function quota_consume(prefix, ask, cost, context, keeps_limit)
  local bucket = quota_bucket(prefix, ask, context.now, keeps_limit)
  bucket.tokens = math.max(bucket.tokens - cost, -QUOTA_MAX)
  if bucket.tokens >= bucket.limit then bucket.tokens, bucket.part = bucket.limit, 0 end
  quota_keep(prefix, ask[1], bucket, context.now, context.has_clock)
  return bucket
end

-- The decisions on all asks if at least one is refused; otherwise nil.
local function quota_check(prefix, asks, context)
  local decisions, is_refused = {}, false
  for i, ask in ipairs(asks) do
    decisions[i] = quota_judge(prefix, ask, tonumber(ask[2]), context.now)
    if decisions[i][1] == '0' then is_refused = true end
  end
  if is_refused then return decisions end
end

-- Takes all asks, after `quota_check`. Returns the held resources, {key, cost, limit, window_us} each, and the
-- decisions with the remaining amounts. Places are held in the name of `context.id`.
local function quota_take(prefix, asks, context)
  local held, decisions = {}, {}
  for i, ask in ipairs(asks) do
    local cost = tonumber(ask[2])
    if cost > 0 and ask[4] then
      local bucket = quota_consume(prefix, ask, cost, context)
      decisions[i] = quota_judge_bucket(bucket, 0, context.now)
    else
      if cost > 0 then redis.call('SADD', prefix .. ask[1], context.id) end
      decisions[i] = quota_judge(prefix, ask, 0, context.now)
    end
    held[i] = { ask[1], ask[2], ask[3], ask[4] }
  end
  return held, decisions
end

-- Ends reservations: frees the places, and charges `used`, a string for each of `held`, in place of
-- the cost. An empty string, or no `used`, charges the cost.
local function quota_settle(prefix, held, used, context)
  for i, each in ipairs(held or {}) do
    if not each[4] then
      redis.call('SREM', prefix .. each[1], context.id)
    elseif used and used[i] and used[i] ~= '' then
      local due = tonumber(used[i]) - tonumber(each[2])
      if due ~= 0 then quota_consume(prefix, each, due, context, true) end
    end
  end
end

-- Returns the reservations in full.
local function quota_release(prefix, held, context)
  for _, each in ipairs(held) do
    if not each[4] then
      redis.call('SREM', prefix .. each[1], context.id)
    elseif redis.call('EXISTS', prefix .. each[1]) == 1 then
      quota_consume(prefix, each, -tonumber(each[2]), context, true)
    end
  end
end
