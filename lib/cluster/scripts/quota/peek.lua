-- needs quota
--
-- What is left of limits; takes nothing, and writes nothing.
--
-- KEYS  procs
-- ARGV  prefix, clock, deadline (not looked at), asks (JSON, see fragments/quota.lua; their costs do not count)
-- Answers {'OK', decisions (JSON)}.
local now = math.floor(now_us(ARGV[2]))
local decisions = {}
for i, ask in ipairs(cjson.decode(ARGV[4])) do decisions[i] = quota_judge(ARGV[1], ask, 0, now) end
return { 'OK', cjson.encode(decisions) }
