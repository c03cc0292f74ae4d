-- needs quota
--
-- Reads the remaining amounts of limits. Read-only.
--
-- KEYS  procs
-- ARGV  prefix, clock, deadline (ignored), asks (JSON, see fragments/quota.lua; their costs are ignored)
-- Returns {'OK', decisions (JSON)}.
local now = math.floor(now_us(ARGV[2]))
local decisions = {}
for i, ask in ipairs(cjson.decode(ARGV[4])) do decisions[i] = quota_judge(ARGV[1], ask, 0, now) end
return { 'OK', cjson.encode(decisions) }
