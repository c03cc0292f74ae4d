-- The usage of ended jobs by hour, principal and model: a part of jobs, see parts.lua.
--
-- usage:<hour>  hash: `["principal","model"] <letter>` -> a count; hours since 1970
-- usagehours    sorted set: the hours
-- usagerows     number of rows, one per hour, principal and model
--
-- Letters: r requests, p prompt tokens, c completion tokens, R, P and C the same for shared answers,
-- k cost in micro-credits.

local HOUR_US = 3600000000
local USAGE_ROWS_MAX = 200000

-- Drops whole hours, so that the remaining ones are complete.
local function drop_oldest_usage(prefix)
  local hour = redis.call('ZRANGE', prefix .. 'usagehours', 0, 0)[1]
  local rows = 0
  for _, field in ipairs(redis.call('HKEYS', prefix .. 'usage:' .. hour)) do
    if string.sub(field, -2) == ' r' then rows = rows + 1 end
  end
  redis.call('DEL', prefix .. 'usage:' .. hour)
  redis.call('ZREM', prefix .. 'usagehours', hour)
  redis.call('DECRBY', prefix .. 'usagerows', rows)
end

-- Adds counts (strings by letter), including one request.
local function count_usage(prefix, principal, model, counts, now)
  local hour = text_of(math.floor(now / HOUR_US))
  local key, row = prefix .. 'usage:' .. hour, cjson.encode({ principal, model })
  for letter, count in pairs(counts) do
    if count ~= '0' then redis.call('HINCRBY', key, row .. ' ' .. letter, count) end
  end
  if redis.call('HGET', key, row .. ' r') ~= '1' then return end
  redis.call('ZADD', prefix .. 'usagehours', hour, hour)
  if redis.call('INCR', prefix .. 'usagerows') > USAGE_ROWS_MAX then drop_oldest_usage(prefix) end
end

-- `asked`: {model, shares (`1`: it shares the answer of another job)}.
local function usage_take(_, asked)
  return asked
end

-- The counts of a job from its final state: none if it never reached the model, failed before its first
-- token, or shared an answer and received no token of it.
local function counts_of(prefix, held, context)
  local final = cjson.decode(context.final).state
  local prompt, completion = final.usage.prompt_tokens, final.usage.completion_tokens
  local was_asked = completion > 0 or final.status == 'completed'
  if not was_asked and held.shares ~= '1' and final.status ~= 'failed' then
    was_asked = redis.call('HEXISTS', prefix .. 'job:' .. context.id, 'started_ms') == 1
  end
  if not was_asked then prompt, completion = 0, 0 end
  if held.shares == '1' then
    return { r = '1', R = '1', P = text_of(prompt), C = text_of(completion) }
  end
  return { r = '1', p = text_of(prompt), c = text_of(completion) }
end

-- `settlement`: its counts; with `later`, a debt until another call settles it. Without a settlement the counts are
-- those of its final state, and the cost is 0.
local function usage_settle(prefix, held, settlement, context)
  if not held then return end
  if settlement and settlement.later then
    settlement.later = nil
    context.owed = context.owed or {}
    context.owed.model, context.owed.counts = held.model, settlement
    return
  end
  local counts = settlement or counts_of(prefix, held, context)
  count_usage(prefix, context.principal, held.model, counts, context.now)
end
