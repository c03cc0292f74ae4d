-- needs quota
--
-- Ends a lease, once: frees its places, and charges the usage.
--
-- KEYS  lease:<id>
-- ARGV  prefix, clock, id, used (JSON: a string for each of its asks, empty: as reserved; no JSON: returns
--       the whole reservation), deadline of a reservation that may still arrive (empty: none can)
-- Returns 'OK'; 'GONE', it has ended, and cannot begin again.
local prefix, id, used = ARGV[1], ARGV[3], ARGV[4]

local owner, held = unpack(redis.call('HMGET', KEYS[1], 'owner', 'held'))
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
redis.call('DEL', KEYS[1])
redis.call('SREM', prefix .. 'leases:' .. owner, id)
return 'OK'
