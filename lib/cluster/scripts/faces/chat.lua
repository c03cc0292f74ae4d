-- needs faces
--
-- Sets the job of a UI chat if its current job is the expected one.
--
-- KEYS  chat:<sha256>
-- ARGV  prefix, expected (an id; empty: none), id, body (digest), ttl_ms, principal
-- Returns {'OK'}; {'OTHER', id, body}, the chat has another job, which still exists.
local prefix, expected, id, body, ttl_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local chat = KEYS[1]

local current = redis.call('HMGET', chat, 'job', 'body')
local job = current[1]
if job and job ~= expected and job ~= id and redis.call('EXISTS', prefix .. 'job:' .. job) == 1 then
  return { 'OTHER', job, current[2] }
end
redis.call('DEL', chat)
redis.call('HSET', chat, 'job', id, 'body', body)
redis.call('PEXPIRE', chat, ttl_ms)
faces_note(prefix, ARGV[6], chat, ttl_ms)
return { 'OK' }
