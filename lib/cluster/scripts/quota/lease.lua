-- needs quota
--
-- Reserves limits for work that is not a job, as a lease of the process: all asks or none. Again with the
-- same id: {'OK', ''}.
--
-- KEYS  lease:<id>
-- ARGV  prefix, clock, deadline, process, id, ttl_ms, asks (JSON, see fragments/quota.lua)
-- Returns {'OK', decisions (JSON)}; {'REFUSED', decisions (JSON)}; {'LATE'}; {'BURIED'}, the process is
-- no member.
local prefix, process, id, ttl_ms = ARGV[1], ARGV[4], ARGV[5], ARGV[6]
local lease = KEYS[1]

local now = math.floor(now_us(ARGV[2]))
if is_late(now, ARGV[3]) then return { 'LATE' } end
if is_undone(prefix, id) then return { 'LATE' } end
if redis.call('EXISTS', lease) == 1 then return { 'OK', '' } end
if redis.call('HEXISTS', prefix .. 'procs', process) == 0 then return { 'BURIED' } end
local asks = cjson.decode(ARGV[7])
local context = { now = now, id = id, has_clock = ARGV[2] ~= '' }
local refusal = quota_check(prefix, asks, context)
if refusal then return { 'REFUSED', cjson.encode(refusal) } end
local held, decisions = quota_take(prefix, asks, context)
redis.call('HSET', lease, 'owner', process, 'held', cjson.encode(held))
redis.call('PEXPIRE', lease, ttl_ms)
redis.call('SADD', prefix .. 'leases:' .. process, id)
return { 'OK', cjson.encode(decisions) }
