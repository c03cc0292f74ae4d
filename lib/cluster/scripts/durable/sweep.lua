-- needs durable
-- Deletes expired streams of all principals, a bounded number at a time.
--
-- KEYS  durable
-- ARGV  prefix, clock, deadline (ignored), maximum count
-- Returns {'OK', number deleted, remaining streams, remaining bytes}.
local now_ms = math.floor(now_us(ARGV[2]) / 1000)
local count = durable_sweep(ARGV[1], now_ms, tonumber(ARGV[4]))
local all = redis.call('HMGET', KEYS[1], 'streams', 'bytes')
return { 'OK', count, all[1] or '0', all[2] or '0' }
