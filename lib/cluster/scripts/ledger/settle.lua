-- needs owed
--
-- Settles usage that is not settled by the ending of a job: a call charged like a job, or an answer that
-- outlasted the job that began it. Once for each id.
--
-- KEYS  settled:<id>
-- ARGV  prefix, clock, deadline, id, hold (an event; empty: that of hold.lua, if any), void (`1`: the hold
--       is released), settlement (JSON, as in settle_hold; empty for none), principal, model, counts
--       (JSON, as in count_usage; empty for none), ttl_ms (time for which the settlement is remembered),
--       process (as in hold.lua)
-- Returns {'OK', paid from the hold, paid beyond it}; {'DONE'}, it was settled before; {'LATE'}.
local prefix, id, hold, is_void = ARGV[1], ARGV[4], ARGV[5], ARGV[6] == '1'
if is_late(now_us(''), ARGV[3]) then return { 'LATE' } end
if (ARGV[12] or '') ~= '' then redis.call('HDEL', prefix .. 'callholds:' .. ARGV[12], id) end

local context = { now = now_us(ARGV[2]), id = id }
if hold == '' then hold = redis.call('HGET', prefix .. 'ledgerkeys', '@hold:' .. id) end
local what = { hold = hold, principal = ARGV[8], model = ARGV[9] }
if not is_void and ARGV[7] ~= '' then what.settlement = cjson.decode(ARGV[7]) end
if ARGV[10] ~= '' then what.counts = cjson.decode(ARGV[10]) end
local paid, beyond = settle_once(prefix, what, context, ARGV[11])
if not paid then return { 'DONE' } end
if is_void and hold then hold_release(prefix, hold, context) end
return { 'OK', paid, beyond }
