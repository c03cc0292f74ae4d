-- needs leases
--
-- Ends a lease with an expiry, charges the usage or returns the whole reservation.
--
-- KEYS  the open leases, their expiry (see fragments/leases.lua)
-- ARGV  prefix, clock, deadline, now_us (empty: the clock's), id, used (JSON: a string for each of its asks,
--       empty: as reserved; no JSON: returns the whole reservation)
-- Returns 1; 0, it had already ended; {'LATE'}.
local prefix, id, used = ARGV[1], ARGV[5], ARGV[6]

if is_late(now_us(ARGV[2]), ARGV[3]) then return { 'LATE' } end
local context = leases_context(ARGV[2], ARGV[4])
leases_expire(prefix, context.now)
local lease = redis.call('HGET', KEYS[1], id)
if not lease then return 0 end
local held = cjson.decode(lease)
local charged = used ~= '' and cjson.decode(used)
for i, each in ipairs(held) do
  local due = 0
  if not charged then
    due = -tonumber(each[2])
  elseif charged[i] and charged[i] ~= '' then
    due = tonumber(charged[i]) - tonumber(each[2])
  end
  if each[4] and due ~= 0 then quota_consume(prefix, each, due, context, true) end
end
leases_drop(prefix, id, held)
return 1
