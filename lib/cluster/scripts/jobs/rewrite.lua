-- needs parts, keys
--
-- Writes a job again if Redis has lost it, with its idempotency key. Its owner writes its log, and its ending if it
-- has ended. The resources of its parts are taken again, without a check.
--
-- KEYS  job:<id>, and idem:<sha256> if there is an idempotency key
-- ARGV  prefix, process, id, principal, ttl_ms, created_us, parts (as in admit), ended (`1`: the owner has its
--       ending, and its parts were settled; `0`), fingerprint, key_ttl_ms, answer (JSON; the last three empty without
--       a key), then fields of the job and their values; for an operation `kind` first
-- Returns 'OK'; 'THERE', it is not lost, and has not ended; 'FENCED', another process owns it; 'ENDED', by this
--         process; 'BURIED', the process is not a member.
local prefix, process, id, principal = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local ttl_ms, created_us, parts, is_over = ARGV[5], ARGV[6], ARGV[7], ARGV[8] == '1'
local fingerprint, key_ttl_ms, key_answer_json = ARGV[9], ARGV[10], ARGV[11]
local job, key = KEYS[1], KEYS[2]
-- A process that finds this job without an owner must not run it again: more losses than a job may have.
local LOSSES_OF_ENDED = '1000'

if redis.call('HEXISTS', prefix .. 'procs', process) == 0 then return 'BURIED' end
local owner, status = unpack(redis.call('HMGET', job, 'owner', 'status'))
-- It keeps the jobs that it has ended under its former name.
local same = owner == process or redis.call('HGET', prefix .. 'proc:' .. process, 'was') == owner
if owner and not same then return 'FENCED' end
if owner then return ENDED[status] and 'ENDED' or 'THERE' end
redis.call(
  'HSET', job, 'owner', process, 'principal', principal, 'created_us', created_us, unpack(ARGV, 12)
)
if is_over then
  redis.call('HSET', job, 'settled', '1', 'lost', LOSSES_OF_ENDED)
else
  redis.call('HSET', job, 'lost', '0')
  local held = take_parts(prefix, parts_of(parts), parts_context('', id, principal), 'retake')
  if held then redis.call('HSET', job, 'held', held) end
end
-- Another request may have used the key meanwhile.
if key and not key_answer(prefix, key, fingerprint) then
  redis.call('DEL', key)
  redis.call('HSET', key, 'fingerprint', fingerprint, 'job', id, 'answer', key_answer_json)
  redis.call('PEXPIRE', key, key_ttl_ms)
  redis.call('HSET', job, 'key', string.sub(key, #prefix + 1))
end
redis.call('PEXPIRE', job, ttl_ms)
local kind = ARGV[12] == 'kind' and ARGV[13]
index_job(prefix, list_of(prefix, kind, principal), created_us, id, ttl_ms)
if kind then index_recent(prefix, kind, created_us, id, ttl_ms) end
redis.call('SADD', prefix .. 'open:' .. process, id)
return 'OK'
