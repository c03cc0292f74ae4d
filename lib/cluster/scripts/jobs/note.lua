-- Changes fields of an existing job.
--
-- KEYS  job:<id>
-- ARGV  prefix, then fields and their values
-- Returns 1; 0, no such job.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return 1
