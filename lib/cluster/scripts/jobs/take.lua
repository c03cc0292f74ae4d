-- Moves a job of a dead process, an offered job, or a job whose owner does not answer a cancellation, to
-- another process, and decides its outcome. A repeated call by the same process returns the same answer, unless it
-- no longer has the job (`again`): one that has a token by now is lost once more.
--
-- KEYS  job:<id>
-- ARGV  prefix, clock, deadline, heir, id, from (a process, `-` for an offered job), why (`lost`,
--       `offered`, `cancel`, `again`), on_lost (`fail`, `rerun`), room (`1`, `0`), losses_max
-- Returns {outcome, fields of the job and their values}:
--   'RUN'     to be run, in the attempt that the fields name, which has no token in the log yet
--   'FAIL'    to be ended as `producer_lost`, as every lost operation is
--   'CANCEL'  to be ended as cancelled
-- or, without any effect on the job: {'ROOM'}, the job is to be run, and `room` is 0; {'ENDED'}; {'GONE'};
-- {'FENCED'}, `from` no longer owns it; {'ALIVE'}, `from` is not buried, or no cancellation was requested;
-- {'BURIED'}, the heir is not a member; {'LATE'}.
local prefix, heir, id, from, why, on_lost = ARGV[1], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local has_room, losses_max = ARGV[9] == '1', tonumber(ARGV[10])
local job, open = KEYS[1], prefix .. 'open:'

if is_late(now_us(ARGV[2]), ARGV[3]) then return { 'LATE' } end

local names = {
  'owner', 'status', 'attempt', 'lost', 'choices', 'cancel', 'taken', 'key', 'created_us', 'kind',
}
local owner, status, attempt, lost, choices, cancel, taken, key, created_us, kind =
  unpack(redis.call('HMGET', job, unpack(names)))

local function answer(outcome)
  local out = redis.call('HGETALL', job)
  table.insert(out, 1, outcome)
  return out
end

if not owner then
  redis.call('SREM', open .. from, id)
  return { 'GONE' }
end
if ENDED[status] then
  redis.call('SREM', open .. from, id)
  return { 'ENDED' }
end
local is_again = why == 'again'
local reached, has_token = progress_of(prefix, id, choices)
if owner == heir and taken then
  local outcome, before = string.match(taken, '^(%u+) (.*)$')
  local has_changed = is_again and outcome == 'RUN' and (has_token or cancel)
  if before == from and not has_changed then return answer(outcome) end
  is_again = is_again and before == from
elseif is_again then
  return { 'FENCED' }
end
if owner ~= from and not is_again then
  redis.call('SREM', open .. from, id)
  return { 'FENCED' }
end
if redis.call('HEXISTS', prefix .. 'procs', heir) == 0 then return { 'BURIED' } end
if why == 'lost' and redis.call('SISMEMBER', prefix .. 'dead', from) == 0 then return { 'ALIVE' } end
if why == 'cancel' and not cancel then return { 'ALIVE' } end

attempt = math.max(tonumber(attempt), reached)
local is_lost = why == 'lost' or is_again
if is_lost then lost = tonumber(lost) + 1 end

-- A job that shared the answer of another one runs with its own call, and is counted as such.
local function own_call()
  local held = redis.call('HGET', job, 'held')
  local parts = held and cjson.decode(held)
  if not parts or not parts.usage or not parts.usage.shares then return end
  parts.usage.shares = nil
  redis.call('HSET', job, 'held', cjson.encode(parts), 'cache', 'miss')
end

local outcome = 'RUN'
if cancel then
  outcome = 'CANCEL'
elseif kind or is_lost and (lost > losses_max or (has_token and on_lost == 'fail')) then
  outcome = 'FAIL'
elseif not has_room and not is_again then
  return { 'ROOM' }
elseif is_lost then
  attempt = attempt + 1
  begin_attempt(prefix, id, choices, attempt)
  redis.call('HSET', job, 'status', 'queued')
end
if outcome == 'RUN' then own_call() end
redis.call(
  'HSET', job, 'owner', heir, 'attempt', text_of(attempt), 'lost', lost,
  'taken', outcome .. ' ' .. from
)
redis.call('SREM', open .. from, id)
redis.call('SADD', open .. heir, id)
-- The former owner may have died before it answered the request with this key.
if key and redis.call('HGET', prefix .. key, 'job') == id then
  local created_s = text_of(math.floor(tonumber(created_us) / 1000000))
  local known = '{"id":"' .. id .. '","createdAt":' .. created_s .. '}'
  redis.call('HSETNX', prefix .. key, 'answer', known)
end
return answer(outcome)
