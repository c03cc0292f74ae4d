-- The latest operations of a kind, of all principals, newest first. Those that no longer exist leave the index.
--
-- KEYS  recent_<kind>s
-- ARGV  prefix, limit
-- Answers for each its id and the values of the fields below.
local FIELDS = { 'principal', 'status', 'attempt', 'created_us', 'snapshot' }
local prefix, limit = ARGV[1], tonumber(ARGV[2])

local found = {}
for _, id in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, -1)) do
  local values = redis.call('HMGET', prefix .. 'job:' .. id, unpack(FIELDS))
  if not values[1] then
    redis.call('ZREM', KEYS[1], id)
  elseif #found < limit then
    found[#found + 1] = { id, unpack(values) }
  end
end
return found
