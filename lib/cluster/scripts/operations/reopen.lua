-- needs parts, nodes
--
-- Begins the next attempt of an ended operation in the calling process, with all its parts or not at all. The
-- log then has only the new attempt. Repeating the request returns the same answer, without the results.
--
-- KEYS  job:<id>
-- ARGV  prefix, clock, deadline, process, id, attempt that has ended, ttl_ms, started_ms, parts (as of
--       admit), snapshot (JSON), token (identifies the request), then the changes of nodes (fragments/nodes.lua)
-- Returns {'OK', results of the parts (JSON, empty for none)}; {'REFUSED', part, JSON}; {'GONE'};
-- {'MOVED'}, it has not ended, or is in another attempt; {'LATE'}; {'BURIED'}, the process is not a member.
local prefix, process, id, ended = ARGV[1], ARGV[4], ARGV[5], ARGV[6]
local ttl_ms, started_ms, parts, snapshot, token = ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local job = KEYS[1]

local owner, status, attempt, principal, kind, reopened =
  unpack(redis.call('HMGET', job, 'owner', 'status', 'attempt', 'principal', 'kind', 'reopened'))
-- The token distinguishes the requests of one process.
if owner == process and reopened == token and not ENDED[status] then return { 'OK', '' } end
if is_late(now_us(ARGV[2]), ARGV[3]) then return { 'LATE' } end
if not owner then return { 'GONE' } end
local next_attempt = text_of(tonumber(ended) + 1)
if attempt ~= ended or not ENDED[status] then return { 'MOVED' } end
if redis.call('HEXISTS', prefix .. 'procs', process) == 0 then return { 'BURIED' } end

local asked, context = parts_of(parts), parts_context(ARGV[2], id, principal)
local refused_part, refusal = check_parts(prefix, asked, context)
if refused_part then return { 'REFUSED', refused_part, refusal } end
local held, results = take_parts(prefix, asked, context, 'take')

redis.call(
  'HSET', job, 'owner', process, 'attempt', next_attempt, 'lost', '0', 'status', 'running',
  'started_ms', started_ms, 'snapshot', snapshot, 'reopened', token
)
redis.call('HDEL', job, 'final', 'ended_ms', 'taken', 'unsettled')
if held then redis.call('HSET', job, 'held', held) end
redis.call('DEL', prefix .. 'log:' .. id)
begin_attempt(prefix, id, 1, tonumber(next_attempt))
expire_job(prefix, id, 1, ttl_ms)
write_nodes(prefix, id, { unpack(ARGV, 12) }, ttl_ms)
keep_index(list_of(prefix, kind, principal), ttl_ms)
keep_index(recent_of(prefix, kind), ttl_ms)
redis.call('ZREM', ended_list_of(prefix, kind, principal), id)
redis.call('SADD', prefix .. 'open:' .. process, id)
return { 'OK', results or '' }
