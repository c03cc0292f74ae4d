-- needs holds
--
-- Holds credit for a call that is charged like a job. Repeating it with the same id returns the same answer.
--
-- KEYS  ledger
-- ARGV  prefix, clock, deadline, id, asked (JSON, as in hold_check), process (whose death releases it;
--       missing or empty: none)
-- Returns {'OK', hold}; {'REFUSED', JSON}, as in hold_check; {'LATE'}; {'BURIED'}, the process is not a member.
local prefix, id, process = ARGV[1], ARGV[4], ARGV[6] or ''
if is_late(now_us(''), ARGV[3]) then return { 'LATE' } end
local asked, context = cjson.decode(ARGV[5]), { now = now_us(ARGV[2]), id = id }
local keys = prefix .. 'ledgerkeys'

-- The hold was released before this call arrived.
if redis.call('EXISTS', prefix .. 'settled:' .. id) == 1 then return { 'LATE' } end
local known = redis.call('HGET', keys, '@hold:' .. id)
if known then return { 'OK', known } end
-- The process's holds have been released: this one would stay forever.
if process ~= '' and redis.call('HEXISTS', prefix .. 'procs', process) == 0 then return { 'BURIED' } end
local refusal = hold_check(prefix, asked, context)
if refusal then return { 'REFUSED', cjson.encode(refusal) } end
local hold = hold_take(prefix, asked, context)
redis.call('HSET', keys, '@hold:' .. id, hold)
if process ~= '' then redis.call('HSET', prefix .. 'callholds:' .. process, id, hold) end
return { 'OK', hold }
