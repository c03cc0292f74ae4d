-- Functions for all scripts; lib/cluster/client/scripts.js puts them before each script and
-- the fragments that a script needs.
--
-- ARGV[1] is the prefix of all keys, `{PREFIX}:`. Times are Unix microseconds: a Lua number holds
-- them exactly. A `clock` argument that is not empty replaces the server's clock, for tests.

local ENDED = { completed = true, failed = true, cancelled = true }

local function now_us(clock)
  if clock ~= '' then return tonumber(clock) end
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Formats a number without an exponent or a fraction.
local function text_of(number)
  return string.format('%.0f', number)
end

-- Whether the deadline, in microseconds, has passed; an empty one never passes.
local function is_late(now, deadline)
  return deadline ~= '' and now > tonumber(deadline)
end

-- A withdrawn call may still arrive, sent on a connection that was lost. Until its deadline it finds
-- this mark, and has no effect.
local function mark_undone(prefix, id, deadline)
  local now = now_us('')
  if deadline == '' or is_late(now, deadline) then return end
  local left_ms = math.ceil((tonumber(deadline) - now) / 1000) + 1
  redis.call('SET', prefix .. 'undone:' .. id, '', 'PX', text_of(left_ms))
end

local function is_undone(prefix, id) return redis.call('EXISTS', prefix .. 'undone:' .. id) == 1 end

-- The keys of a job's logs: its own, and one per further choice.
local function logs_of(prefix, id, choices)
  local logs = { prefix .. 'log:' .. id }
  for choice = 1, (tonumber(choices) or 1) - 1 do
    logs[#logs + 1] = prefix .. 'log:' .. id .. '.' .. choice
  end
  return logs
end

-- The attempt and the number of the last entry of a log; 0 and 0 for a log that does not exist.
local function tail_of(log)
  local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if not last then return 0, 0 end
  local attempt, seq = string.match(last[1], '^(%d+)-(%d+)$')
  return tonumber(attempt), tonumber(seq)
end

-- Publishes an entry to the followers of its log: a RESP array of id, fields and values.
local function publish_entry(prefix, log_id, entry_id, ...)
  local parts = { entry_id, ... }
  local out = { '*' .. #parts .. '\r\n' }
  for _, part in ipairs(parts) do
    out[#out + 1] = '$' .. #part .. '\r\n' .. part .. '\r\n'
  end
  redis.call('PUBLISH', prefix .. 'j:' .. log_id, table.concat(out))
end

-- Begins an attempt in every log of a job. No entry of an earlier attempt can follow.
local function begin_attempt(prefix, id, choices, attempt)
  local entry_id = text_of(attempt) .. '-0'
  for _, log in ipairs(logs_of(prefix, id, choices)) do
    local reached = tail_of(log)
    if reached < attempt then
      redis.call('XADD', log, entry_id, 'r', '{}')
      publish_entry(prefix, string.sub(log, #prefix + 5), entry_id, 'r', '{}')
    end
  end
end

-- The attempt that the logs of a job have reached, and whether that attempt has a token.
local function progress_of(prefix, id, choices)
  local attempt, has_token = 0, false
  for _, log in ipairs(logs_of(prefix, id, choices)) do
    local reached, seq = tail_of(log)
    if reached > attempt then attempt, has_token = reached, false end
    if reached == attempt and seq > 0 then has_token = true end
  end
  return attempt, has_token
end

-- The keys of an operation (a job with the field `kind`) in addition to those of every job: hashes
-- by node id of the nodes' states and outputs, both as JSON.
local function keys_of_nodes(prefix, id)
  return { prefix .. 'nodes:' .. id, prefix .. 'outputs:' .. id }
end

-- Sets the time to live of all keys of a job.
local function expire_job(prefix, id, choices, ttl_ms)
  redis.call('PEXPIRE', prefix .. 'job:' .. id, ttl_ms)
  redis.call('PEXPIRE', prefix .. 'readers:' .. id, ttl_ms)
  for _, log in ipairs(logs_of(prefix, id, choices)) do redis.call('PEXPIRE', log, ttl_ms) end
end

-- Sets the time to live of the keys of an operation's nodes.
local function expire_nodes(prefix, id, ttl_ms)
  for _, key in ipairs(keys_of_nodes(prefix, id)) do redis.call('PEXPIRE', key, ttl_ms) end
end

-- The lists of a principal: of all its jobs or operations of a kind (`workflow`, `crawl`), and of the ended ones.
-- `kind` is missing or empty for jobs.
local function list_of(prefix, kind, principal)
  return prefix .. (kind and kind ~= '' and kind or 'job') .. 's:' .. principal
end

local function ended_list_of(prefix, kind, principal)
  local name = kind and kind ~= '' and 'ended_' .. kind .. 's:' or 'ended:'
  return prefix .. name .. principal
end

-- Keeps an index at least as long as a job in it.
local function keep_index(index, ttl_ms)
  if redis.call('PTTL', index) < tonumber(ttl_ms) then redis.call('PEXPIRE', index, ttl_ms) end
end

-- Adds a job to an index, which lives as long as its last job. Removes up to two expired members
-- from the beginning of the index, so that it stays small even if nobody lists it.
local function index_job(prefix, index, score, id, ttl_ms)
  redis.call('ZADD', index, score, id)
  keep_index(index, ttl_ms)
  for _, oldest in ipairs(redis.call('ZRANGE', index, 0, 1)) do
    if redis.call('EXISTS', prefix .. 'job:' .. oldest) == 1 then break end
    redis.call('ZREM', index, oldest)
  end
end

-- The latest operations of a kind, of all principals.
local RECENT_MAX = 100

local function recent_of(prefix, kind) return prefix .. 'recent_' .. kind .. 's' end

-- Adds an operation to the latest ones of its kind.
local function index_recent(prefix, kind, score, id, ttl_ms)
  local index = recent_of(prefix, kind)
  index_job(prefix, index, score, id, ttl_ms)
  redis.call('ZREMRANGEBYRANK', index, 0, -RECENT_MAX - 1)
end

-- Deletes the keys of a job that has ended, except for its idempotency key.
local function delete_job(prefix, id, principal, choices)
  local kind = redis.call('HGET', prefix .. 'job:' .. id, 'kind')
  redis.call(
    'DEL', prefix .. 'job:' .. id, prefix .. 'readers:' .. id, unpack(logs_of(prefix, id, choices))
  )
  if kind then
    redis.call('DEL', unpack(keys_of_nodes(prefix, id)))
    redis.call('ZREM', recent_of(prefix, kind), id)
  end
  redis.call('ZREM', list_of(prefix, kind, principal), id)
  redis.call('ZREM', ended_list_of(prefix, kind, principal), id)
end

-- Queues a message to a process, and wakes it.
local function tell(prefix, process, message)
  redis.call('RPUSH', prefix .. 'ctl:' .. process, message)
  redis.call('PUBLISH', prefix .. 'p:' .. process, 'ctl')
end
