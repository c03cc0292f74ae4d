-- needs quota
--
-- What processes leave behind.

-- Ends the leases of a process that is gone: their places are free, what they reserved is charged.
local function end_leases(prefix, process)
  local leases = prefix .. 'leases:' .. process
  local context = { now = now_us(''), has_clock = false }
  for _, id in ipairs(redis.call('SMEMBERS', leases)) do
    local held = redis.call('HGET', prefix .. 'lease:' .. id, 'held')
    context.id = id
    if held then quota_settle(prefix, cjson.decode(held), nil, context) end
    redis.call('DEL', prefix .. 'lease:' .. id)
  end
  redis.call('DEL', leases)
end

-- Gives the leases of a process its new name.
local function move_leases(prefix, from, to)
  local leases = redis.call('SMEMBERS', prefix .. 'leases:' .. from)
  for _, id in ipairs(leases) do
    if redis.call('EXISTS', prefix .. 'lease:' .. id) == 1 then
      redis.call('HSET', prefix .. 'lease:' .. id, 'owner', to)
      redis.call('SADD', prefix .. 'leases:' .. to, id)
    end
  end
  redis.call('DEL', prefix .. 'leases:' .. from)
end

-- Removes what a process that is gone has left beside its jobs.
local function forget_process(prefix, process)
  end_leases(prefix, process)
  local reading = prefix .. 'reading:' .. process
  for _, id in ipairs(redis.call('SMEMBERS', reading)) do
    local readers = prefix .. 'readers:' .. id
    if redis.call('HDEL', readers, process) == 1 and redis.call('HLEN', readers) == 0 then
      local owner = redis.call('HGET', prefix .. 'job:' .. id, 'owner')
      if owner and owner ~= '-' and owner ~= process then tell(prefix, owner, 'readers ' .. id) end
    end
  end
  redis.call('DEL', reading, prefix .. 'proc:' .. process, prefix .. 'ctl:' .. process)
end
