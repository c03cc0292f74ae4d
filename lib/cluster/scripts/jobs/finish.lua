-- needs parts
--
-- Ends a job, or the log of one of its choices. Called by its owner, natively.
--
-- KEYS  job:<id> of the job, log:<id> of the log that ends
-- ARGV  prefix, process, attempt, last id (of the last entry that the process has written), ending
--       id, x (the event: JSON {type, data}), f (the final state, JSON), status, ended_ms,
--       retention_ms, role (`job` or `choice`), settlement (JSON: the settlement of each part of
--       fragments/parts.lua, and `snapshot` of an operation; empty: none), clock
--       (missing for the server's)
-- Returns 'OK'; 'DONE', this ending was written before; 'FENCED', another process owns the job, or has
-- written to its log; 'GONE', no such job or log.
local prefix, process, attempt, last_id, ending_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local x, f, status, ended_ms, retention_ms, role, settlement, clock = unpack(ARGV, 6, 13)
local job, log = KEYS[1], KEYS[2]

local known = redis.call('HMGET', job, 'owner', 'status', 'principal', 'held', 'kind', 'settled')
local owner, kind = known[1], known[5]
if not owner then return 'GONE' end
local tail = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
if not tail then return 'GONE' end
if tail[1] == ending_id then
  for i = 1, #tail[2], 2 do
    if tail[2][i] == 'x' and tail[2][i + 1] == x then return 'DONE' end
  end
  return 'FENCED'
end
-- A process that was counted dead has a new name, and keeps the jobs that no other process took.
local same = owner == process or redis.call('HGET', prefix .. 'proc:' .. owner, 'was') == process
if not same or tail[1] ~= last_id then return 'FENCED' end
if role == 'job' and ENDED[known[2]] then return 'FENCED' end

local log_id = string.sub(log, #prefix + 5)
redis.call('XADD', log, ending_id, 'x', x, 'f', f)
redis.call('PEXPIRE', log, retention_ms)
if role == 'job' then
  redis.call('HSET', job, 'status', status, 'ended_ms', ended_ms, 'attempt', attempt, 'final', f)
  redis.call('HDEL', job, 'cancel', 'held', 'settled')
  if kind then
    expire_nodes(prefix, log_id, retention_ms)
    keep_index(recent_of(prefix, kind), retention_ms)
  else
    -- An operation may be retried.
    redis.call('HDEL', job, 'request')
  end
  redis.call('PEXPIRE', job, retention_ms)
  redis.call('PEXPIRE', prefix .. 'readers:' .. log_id, retention_ms)
  redis.call('SREM', prefix .. 'open:' .. owner, log_id)
  index_job(prefix, ended_list_of(prefix, kind, known[3]), ended_ms, log_id, retention_ms)
  keep_index(list_of(prefix, kind, known[3]), retention_ms)
end
-- An ended job that is written again was settled before Redis lost it.
if role == 'job' and not known[6] and (known[4] or settlement ~= '') then
  local context = parts_context(clock, log_id, known[3])
  context.final, context.process = f, owner
  local settled = parts_of(settlement)
  if settled.snapshot then redis.call('HSET', job, 'snapshot', settled.snapshot) end
  settle_parts(prefix, job, parts_of(known[4]), settled, context)
end
publish_entry(prefix, log_id, ending_id, 'x', x, 'f', f)
return 'OK'
