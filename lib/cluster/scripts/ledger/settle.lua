-- needs holds, usage
--
-- Settles what is not settled with the ending of a job: a call that is charged like one, or an answer that has
-- outlasted the job that began it. Once for each id.
--
-- KEYS  settled:<id>
-- ARGV  prefix, clock, deadline, id, hold (an event; empty: that of hold.lua, if any), void (`1`: the hold
--       is released), settlement (JSON, as of settle_hold; empty for none), principal, model, counts
--       (JSON, as of count_usage; empty for none), ttl_ms (how long it is known that it was settled),
--       process (as of hold.lua)
-- Answers {'OK', paid of the hold, paid beyond it}; {'DONE'}, it was settled before; {'LATE'}.
local prefix, id, hold, is_void = ARGV[1], ARGV[4], ARGV[5], ARGV[6] == '1'
local settlement, counts = ARGV[7], ARGV[10]
if is_late(now_us(''), ARGV[3]) then return { 'LATE' } end
if (ARGV[12] or '') ~= '' then redis.call('HDEL', prefix .. 'callholds:' .. ARGV[12], id) end
if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[11]) then return { 'DONE' } end

local context = { now = now_us(ARGV[2]), id = id }
if hold == '' then hold = redis.call('HGET', prefix .. 'ledgerkeys', '@hold:' .. id) end
local paid, beyond
if is_void then
  if hold then hold_release(prefix, hold, context) end
elseif settlement ~= '' then
  paid, beyond = settle_hold(prefix, hold, cjson.decode(settlement), context)
end
if counts ~= '' then count_usage(prefix, ARGV[8], ARGV[9], cjson.decode(counts), context.now) end
return { 'OK', paid or '0', beyond or '0' }
