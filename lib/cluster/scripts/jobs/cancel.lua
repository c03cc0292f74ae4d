-- Requests the cancellation of a job.
--
-- KEYS  job:<id>
-- ARGV  prefix, clock, deadline, process, id, principal, reason
-- Returns {'GONE'}, also for a job of another principal; {'ENDED'}; {'OWN'}, the process owns it
-- itself; {'FREE'}, no process owns it; {'TOLD', owner}; {'LATE'}.
local prefix, process, id, principal, reason = ARGV[1], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local job = KEYS[1]

if is_late(now_us(ARGV[2]), ARGV[3]) then return { 'LATE' } end
local owner, status, of = unpack(redis.call('HMGET', job, 'owner', 'status', 'principal'))
if not owner or of ~= principal then return { 'GONE' } end
if ENDED[status] then return { 'ENDED' } end
if redis.call('HSETNX', job, 'cancel', reason) == 1 and owner ~= process and owner ~= '-' then
  tell(prefix, owner, 'cancel ' .. id .. ' ' .. reason)
end
if owner == process then return { 'OWN' } end
if owner == '-' then return { 'FREE' } end
return { 'TOLD', owner }
