-- needs quota
--
-- Ends a lease, once: frees its places, and charges the usage. A lease that ended with its process, charged as
-- reserved, is settled in the same way (`lost:<id>`, see fragments/processes.lua).
--
-- KEYS  lease:<id>
-- ARGV  prefix, clock, id, used (JSON: a string for each of its asks, empty: as reserved; no JSON: returns
--       the whole reservation), deadline of a reservation that may still arrive (empty: none can)
-- Returns 'OK'; 'GONE', it has ended, and cannot begin again.
local prefix, id, used = ARGV[1], ARGV[3], ARGV[4]

local owner, held = unpack(redis.call('HMGET', KEYS[1], 'owner', 'held'))
held = held or redis.call('GET', prefix .. 'lost:' .. id)
if not held then
  mark_undone(prefix, id, ARGV[5] or '')
  return 'GONE'
end
local context = { now = math.floor(now_us(ARGV[2])), id = id, has_clock = ARGV[2] ~= '' }
if used == '' then
  quota_release(prefix, cjson.decode(held), context)
else
  quota_settle(prefix, cjson.decode(held), cjson.decode(used), context)
end
redis.call('DEL', KEYS[1], prefix .. 'lost:' .. id)
if owner then redis.call('SREM', prefix .. 'leases:' .. owner, id) end
return 'OK'
