-- needs parts, keys
--
-- Admits a job with all its parts or not at all, or finds the job of its idempotency key. Repeating it with
-- the same id returns the same answer, without the results.
--
-- KEYS  job:<id>, and idem:<sha256> if there is an idempotency key
-- ARGV  prefix, clock, deadline, process, id, principal, ttl_ms, choices, fingerprint, key_ttl_ms,
--       parts (JSON: the request to each part of fragments/parts.lua; empty: none),
--       then fields of the job and their values; for an operation `kind` first
-- Returns {'OK', created_us, results of the parts (JSON; empty: none)}; {'REFUSED', part, JSON}; {'KNOWN', id,
-- answer}; {'PENDING', id}, the outcome is not known yet; {'REUSED'}, the key has another fingerprint; {'LATE'},
-- also if it was withdrawn; {'BURIED'}, the process is not a member.
local prefix, process, id, principal = ARGV[1], ARGV[4], ARGV[5], ARGV[6]
local ttl_ms, choices, fingerprint, key_ttl_ms = ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local parts, kind = ARGV[11], ARGV[12] == 'kind' and ARGV[13]
local job, key = KEYS[1], KEYS[2]

local now = now_us(ARGV[2])
if is_late(now, ARGV[3]) then return { 'LATE' } end

local known = redis.call('HMGET', job, 'owner', 'created_us')
if known[1] then return { 'OK', known[2], '' } end
if is_undone(prefix, id) then return { 'LATE' } end
if redis.call('HEXISTS', prefix .. 'procs', process) == 0 then return { 'BURIED' } end

if key then
  local known_key = key_answer(prefix, key, fingerprint)
  if known_key then return known_key end
end

local asked, context = parts_of(parts), parts_context(ARGV[2], id, principal)
local refused_part, refusal = check_parts(prefix, asked, context)
if refused_part then return { 'REFUSED', refused_part, refusal } end

if key then
  redis.call('DEL', key)
  redis.call('HSET', key, 'fingerprint', fingerprint, 'job', id)
  redis.call('PEXPIRE', key, key_ttl_ms)
end

local created = text_of(now)
redis.call(
  'HSET', job, 'owner', process, 'attempt', '1', 'lost', '0', 'status', 'queued',
  'principal', principal, 'created_us', created, 'choices', choices,
  unpack(ARGV, 12)
)
if key then redis.call('HSET', job, 'key', string.sub(key, #prefix + 1)) end
local held, results = take_parts(prefix, asked, context, 'take')
if held then redis.call('HSET', job, 'held', held) end
begin_attempt(prefix, id, choices, 1)
expire_job(prefix, id, choices, ttl_ms)
index_job(prefix, list_of(prefix, kind, principal), created, id, ttl_ms)
if kind then index_recent(prefix, kind, created, id, ttl_ms) end
redis.call('SADD', prefix .. 'open:' .. process, id)
return { 'OK', created, results or '' }
