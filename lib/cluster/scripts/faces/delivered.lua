-- Records that a reader of a UI chat has received the ending of its job.
--
-- KEYS  chat:<sha256>
-- ARGV  prefix, id
-- Returns 1; 0, the chat has another job.
local prefix, id = ARGV[1], ARGV[2]

if redis.call('HGET', KEYS[1], 'job') ~= id then return 0 end
redis.call('HSET', KEYS[1], 'delivered', '1')
return 1
