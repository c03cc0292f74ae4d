-- needs quota
-- loads estate_owed: settle_owed
-- loads holds: hold_expire
--
-- Data that processes leave behind. `callholds:<process>` is a hash of the calls that hold credit: id -> hold.
-- `lost:<lease>` is what a lease held that ended with its process: if the process was counted dead while it lives, it
-- settles the lease at its usage.

local LOST_LEASE_MS = '3600000'

-- Ends the leases of a dead process: frees their places, charges their reservations.
local function end_leases(prefix, process)
  local leases = prefix .. 'leases:' .. process
  local context = { now = now_us(''), has_clock = false }
  for _, id in ipairs(redis.call('SMEMBERS', leases)) do
    local lease = prefix .. 'lease:' .. id
    local held = redis.call('HGET', lease, 'held')
    context.id = id
    if held then
      quota_settle(prefix, cjson.decode(held), nil, context)
      redis.call('SET', prefix .. 'lost:' .. id, held, 'PX', LOST_LEASE_MS)
      redis.call('DEL', lease)
    end
  end
  redis.call('DEL', leases)
end

-- Expires the credit held by calls of a dead process. A process that was counted dead while it lives charges their
-- usage all the same.
local function expire_calls(prefix, process)
  local calls = prefix .. 'callholds:' .. process
  local holds = redis.call('HGETALL', calls)
  if #holds == 0 then return end
  local hold_expire = load_holds()
  local context = { now = now_us('') }
  for i = 1, #holds, 2 do
    context.id = holds[i]
    hold_expire(prefix, holds[i + 1], context)
  end
  redis.call('DEL', calls)
end

-- Moves the leases and holds of a process, beside those of its jobs, to its new name.
local function move_leases(prefix, from, to)
  local leases = redis.call('SMEMBERS', prefix .. 'leases:' .. from)
  for _, id in ipairs(leases) do
    if redis.call('EXISTS', prefix .. 'lease:' .. id) == 1 then
      redis.call('HSET', prefix .. 'lease:' .. id, 'owner', to)
      redis.call('SADD', prefix .. 'leases:' .. to, id)
    end
  end
  redis.call('DEL', prefix .. 'leases:' .. from)
  local calls = prefix .. 'callholds:' .. from
  local holds = redis.call('HGETALL', calls)
  for i = 1, #holds, 2 do redis.call('HSET', prefix .. 'callholds:' .. to, holds[i], holds[i + 1]) end
  redis.call('DEL', calls)
end

-- Moves the debts of a process's jobs to its new name.
local function move_owed(prefix, from, to)
  local all = redis.call('HGETALL', prefix .. 'owed')
  for i = 1, #all, 2 do
    local what = cjson.decode(all[i + 1])
    if what.process == from then
      what.process = to
      redis.call('HSET', prefix .. 'owed', all[i], cjson.encode(what))
    end
  end
end

-- Removes the data of a dead process other than its jobs.
local function forget_process(prefix, process)
  end_leases(prefix, process)
  expire_calls(prefix, process)
  if redis.call('EXISTS', prefix .. 'owed') == 1 then load_estate_owed()(prefix, process) end
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
