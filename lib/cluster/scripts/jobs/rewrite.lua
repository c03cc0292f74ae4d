-- needs parts
--
-- Writes a running job again after Redis has lost its data. Its owner writes its log. The
-- resources of its parts are taken again, without a check.
--
-- KEYS  job:<id>
-- ARGV  prefix, process, id, principal, ttl_ms, created_us, parts (as in admit), then
--       fields of the job and their values; for an operation `kind` first
-- Returns 'OK'; 'FENCED', another process owns it; 'ENDED'; 'BURIED', the process is not a member.
local prefix, process, id, principal = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local ttl_ms, created_us, parts = ARGV[5], ARGV[6], ARGV[7]
local job = KEYS[1]

if redis.call('HEXISTS', prefix .. 'procs', process) == 0 then return 'BURIED' end
local owner, status = unpack(redis.call('HMGET', job, 'owner', 'status'))
if owner and owner ~= process then return 'FENCED' end
if owner and ENDED[status] then return 'ENDED' end
redis.call(
  'HSET', job, 'owner', process, 'principal', principal, 'created_us', created_us, unpack(ARGV, 8)
)
redis.call('HSETNX', job, 'lost', '0')
if not owner then
  local held = take_parts(prefix, parts_of(parts), parts_context('', id, principal), 'retake')
  if held then redis.call('HSET', job, 'held', held) end
end
redis.call('PEXPIRE', job, ttl_ms)
local kind = ARGV[8] == 'kind' and ARGV[9]
index_job(prefix, list_of(prefix, kind, principal), created_us, id, ttl_ms)
if kind then index_recent(prefix, kind, created_us, id, ttl_ms) end
redis.call('SADD', prefix .. 'open:' .. process, id)
return 'OK'
