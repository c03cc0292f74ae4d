-- needs holds
--
-- Holds credit for a call that is charged like a job. Again with the same id: the same answer.
--
-- KEYS  ledger
-- ARGV  prefix, clock, deadline, id, asked (JSON, as of hold_check), process (which releases it when it is
--       gone; missing or empty for none)
-- Answers {'OK', hold}; {'REFUSED', JSON}, as of hold_check; {'LATE'}.
local prefix, id = ARGV[1], ARGV[4]
if is_late(now_us(''), ARGV[3]) then return { 'LATE' } end
local asked, context = cjson.decode(ARGV[5]), { now = now_us(ARGV[2]), id = id }
local keys = prefix .. 'ledgerkeys'

-- Released before it came.
if redis.call('EXISTS', prefix .. 'settled:' .. id) == 1 then return { 'LATE' } end
local known = redis.call('HGET', keys, '@hold:' .. id)
if known then return { 'OK', known } end
local refusal = hold_check(prefix, asked, context)
if refusal then return { 'REFUSED', cjson.encode(refusal) } end
local hold = hold_take(prefix, asked, context)
redis.call('HSET', keys, '@hold:' .. id, hold)
if (ARGV[6] or '') ~= '' then redis.call('HSET', prefix .. 'callholds:' .. ARGV[6], id, hold) end
return { 'OK', hold }
