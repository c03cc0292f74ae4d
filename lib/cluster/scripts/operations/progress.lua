-- needs nodes
--
-- Writes the state of an operation: its snapshot, and its changed nodes.
--
-- KEYS  job:<id>
-- ARGV  prefix, process, id, attempt, snapshot (JSON), then the changes of nodes (fragments/nodes.lua)
-- Returns 'OK'; 'GONE'; 'ENDED'; 'FENCED', another process owns it, or it is in another attempt.
local prefix, process, id, attempt, snapshot = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local job = KEYS[1]

local owner, status, current = unpack(redis.call('HMGET', job, 'owner', 'status', 'attempt'))
if not owner then return 'GONE' end
if owner ~= process or current ~= attempt then return 'FENCED' end
if ENDED[status] then return 'ENDED' end
redis.call('HSET', job, 'snapshot', snapshot)
write_nodes(prefix, id, { unpack(ARGV, 6) }, redis.call('PTTL', job))
return 'OK'
