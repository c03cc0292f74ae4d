-- needs processes
--
-- Makes a process a member. Under a new name it keeps the old name's jobs that no other process took.
--
-- KEYS  procs, meta
-- ARGV  prefix, clock, process, was (its former name; empty: none), schema, epoch, secret
--       (both used if the deployment has none), lease_ms, then fields of proc:<process> and values
-- Returns {'OK', now_us, epoch, secret, lease_ms of the deployment, ids of its jobs};
-- {'BURIED'}, another process has counted this name dead; {'NEWER', schema}.
local prefix, process, was, schema = ARGV[1], ARGV[3], ARGV[4], ARGV[5]
local procs, meta = KEYS[1], KEYS[2]

local found = redis.call('HGET', meta, 'schema')
if found and tonumber(found) > tonumber(schema) then return { 'NEWER', found } end
if redis.call('SISMEMBER', prefix .. 'dead', process) == 1 then return { 'BURIED' } end
redis.call('HSETNX', meta, 'schema', schema)
redis.call('HSETNX', meta, 'epoch', ARGV[6])
redis.call('HSETNX', meta, 'secret', ARGV[7])
-- The lease of present members applies; the first member sets its own.
if redis.call('HLEN', procs) == 0 then redis.call('HSET', meta, 'lease_ms', ARGV[8]) end

redis.call('HSETNX', procs, process, '1')
redis.call('HSET', prefix .. 'proc:' .. process, 'was', was, unpack(ARGV, 9))
if was ~= '' then
  local old, new = prefix .. 'open:' .. was, prefix .. 'open:' .. process
  for _, id in ipairs(redis.call('SMEMBERS', old)) do
    if redis.call('HGET', prefix .. 'job:' .. id, 'owner') == was then
      redis.call('HSET', prefix .. 'job:' .. id, 'owner', process)
      redis.call('SADD', new, id)
      -- Messages to the old name.
      local why = redis.call('HGET', prefix .. 'job:' .. id, 'cancel')
      if why then tell(prefix, process, 'cancel ' .. id .. ' ' .. why) end
    end
  end
  redis.call('DEL', old)
  redis.call('HDEL', procs, was)
  redis.call('SREM', prefix .. 'dead', was)
  move_leases(prefix, was, process)
  move_owed(prefix, was, process)
  forget_process(prefix, was)
end
return {
  'OK', text_of(now_us(ARGV[2])), redis.call('HGET', meta, 'epoch'),
  redis.call('HGET', meta, 'secret'), redis.call('HGET', meta, 'lease_ms'),
  redis.call('SMEMBERS', prefix .. 'open:' .. process),
}
