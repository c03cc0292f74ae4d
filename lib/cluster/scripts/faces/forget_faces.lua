-- Deletes the faces' entries about jobs of a principal, a bounded number at a time.
--
-- KEYS  faces:<principal>
-- ARGV  prefix, maximum count
-- Returns the number deleted; 0: none is left.
local keys = redis.call('ZRANGE', KEYS[1], 0, tonumber(ARGV[2]) - 1)
for _, key in ipairs(keys) do
  redis.call('DEL', ARGV[1] .. key)
  redis.call('ZREM', KEYS[1], key)
end
return #keys
