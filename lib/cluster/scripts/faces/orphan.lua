-- needs faces
--
-- Records a job whose clients have all disconnected.
--
-- KEYS  orphan:<sha256>
-- ARGV  prefix, principal, id, created_ms, ttl_ms
-- Returns 1.
local ttl_ms = ARGV[5]
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ttl_ms)
faces_note(ARGV[1], ARGV[2], KEYS[1], ttl_ms)
return 1
