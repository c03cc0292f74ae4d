-- Keeps the number of ended jobs within a bound: beyond it, removes the oldest job of the principal with the most
-- jobs. Run it after jobs have ended; the counts of other principals may be too high.
--
-- KEYS  retained (principal -> number of its ended jobs), retained:total; for operations `retained_workflows`
--       and so on
-- ARGV  prefix, kind (empty for jobs), jobs_max, removed_max, then principals whose jobs have ended
-- Returns the number of jobs that were removed.
local prefix, kind, jobs_max, removed_max = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local counts, total = KEYS[1], KEYS[2]

-- Removes jobs whose retention is over; they come first.
local function recount(principal)
  local ended = ended_list_of(prefix, kind, principal)
  while true do
    local oldest = redis.call('ZRANGE', ended, 0, 0)[1]
    if not oldest or redis.call('EXISTS', prefix .. 'job:' .. oldest) == 1 then break end
    redis.call('ZREM', ended, oldest)
  end
  local count = redis.call('ZCARD', ended)
  local before = tonumber(redis.call('ZSCORE', counts, principal) or 0)
  if count == 0 then
    redis.call('ZREM', counts, principal)
  else
    redis.call('ZADD', counts, count, principal)
  end
  if count ~= before then redis.call('INCRBY', total, count - before) end
  return count == before
end

for i = 5, #ARGV do recount(ARGV[i]) end
local removed, steps = 0, 0
while tonumber(redis.call('GET', total) or 0) > jobs_max and steps < removed_max do
  steps = steps + 1
  local principal = redis.call('ZREVRANGE', counts, 0, 0)[1]
  if not principal then
    redis.call('DEL', total)
    break
  end
  -- After the correction of a count, another principal may have the most jobs.
  if recount(principal) then
    local id = redis.call('ZRANGE', ended_list_of(prefix, kind, principal), 0, 0)[1]
    delete_job(prefix, id, principal, redis.call('HGET', prefix .. 'job:' .. id, 'choices'))
    -- Its owner has it in memory; others may have a replica.
    redis.call('PUBLISH', prefix .. 'all', 'erased ' .. id)
    recount(principal)
    removed = removed + 1
  end
end
return removed
