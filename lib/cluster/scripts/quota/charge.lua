-- needs quota
--
-- Charges buckets for usage after the end of its job, once for each id.
--
-- KEYS  charged:<id>
-- ARGV  prefix, clock, kept_ms (time for which the id is remembered), charges (JSON: {{hold, amount}, ...}, see
--       fragments/quota.lua; an amount below 0 gives back)
-- Returns 'OK'; 'DONE', it was charged before.
local prefix, kept_ms = ARGV[1], ARGV[3]

local now = math.floor(now_us(ARGV[2]))
if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', kept_ms) then return 'DONE' end
local context = { now = now, has_clock = ARGV[2] ~= '' }
for _, charge in ipairs(cjson.decode(ARGV[4])) do
  local hold, amount = charge[1], tonumber(charge[2])
  if amount ~= 0 then quota_consume(prefix, hold, amount, context, true) end
end
return 'OK'
