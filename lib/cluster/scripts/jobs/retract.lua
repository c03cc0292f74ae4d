-- needs parts
--
-- Withdraws an admitted job with all its parts, without a trace.
--
-- KEYS  job:<id>
-- ARGV  prefix, process, id, clock (missing or empty for the server's), name that the process had when it
--       admitted the job (missing: the same), deadline of an admission that may still arrive (missing or
--       empty: none can)
-- Returns 'OK'; 'GONE', no such job, and none can be admitted later; 'FENCED', another process has taken it.
local prefix, process, id = ARGV[1], ARGV[2], ARGV[3]
local job = KEYS[1]

local known = redis.call('HMGET', job, 'owner', 'principal', 'choices', 'key', 'held')
if not known[1] then
  mark_undone(prefix, id, ARGV[6] or '')
  return 'GONE'
end
if known[1] ~= process and known[1] ~= ARGV[5] then return 'FENCED' end
if known[4] and redis.call('HGET', prefix .. known[4], 'job') == id then
  redis.call('DEL', prefix .. known[4])
end
if known[5] then
  release_parts(prefix, parts_of(known[5]), parts_context(ARGV[4], id, known[2]))
end
delete_job(prefix, id, known[2], known[3])
redis.call('SREM', prefix .. 'open:' .. known[1], id)
return 'OK'
