-- Functions of key-value stores; lib/cluster/redis-kv.js calls the scripts that need them.
--
-- A store is the hash `kv:<store>`: `version` of the last change, `keys` and `bytes` in all spaces, `told`
-- (messages to watches), `run` (of the server that made the last change), `born` (time of the first change,
-- different in a store that was lost and recreated). Each space in it has its own keys: kv:<store>:o:<space>  zset
-- of its keys, all with the score 0: they are in the order of their bytes kv:<store>:h:<space>  hash of heads by
-- key: `<version> <kind> <bytes of the value> <end>` kv:<store>:d:<space>  hash of values by key and for all of
-- them kv:<store>:b  hash: bytes of keys and values by space kv:<store>:x  zset: `<space>/<key>` by end, of the
-- keys with a time to live An end is the last microsecond at which a key exists, or `-`. An entry after its end
-- counts as absent; later changes and the timers of processes free it.

-- The increment of the version after a restart: more than the number of changes in the last
-- seconds that a server may lose, so that no version is reused.
local KV_VERSIONS_LOST_MAX = 1048576
local KV_RECLAIM_PER_CHANGE = 2
local KV_RECLAIM_PER_TRY = 64
-- Maximum fields of one HMGET.
local KV_CHUNK = 1000
local KV_SET, KV_DELETE, KV_EXPIRE = '0', '1', '2'

-- Formats a number with all its digits.
local function kv_text(number)
  return string.format('%.17g', number)
end

local function kv_open(store, space)
  return {
    store = store, space = space,
    -- The size of a key includes the name of its space, as in a gateway without Redis: `kv/<space>/`.
    overhead = space == '' and 0 or #space + 4,
    order = store .. ':o:' .. space, heads = store .. ':h:' .. space, data = store .. ':d:' .. space,
    sizes = store .. ':b', ends = store .. ':x', changes = {},
  }
end

-- Parses a head; nil: none.
local function kv_parse(text)
  if not text then return nil end
  local version, kind, bytes, ends = string.match(text, '^(%d+) (%d) (%d+) (%S+)$')
  return { version = tonumber(version), kind = kind, bytes = tonumber(bytes), ends = tonumber(ends) }
end

local function kv_head(kv, key)
  return kv_parse(redis.call('HGET', kv.heads, key))
end

local function kv_is_alive(head, now)
  return head ~= nil and (head.ends == nil or now <= head.ends)
end

-- The version of a key; 0 where it is absent or expired.
local function kv_version_of(kv, key, now)
  local head = kv_head(kv, key)
  return kv_is_alive(head, now) and head.version or 0
end

local function kv_version(kv)
  return tonumber(redis.call('HGET', kv.store, 'version') or '0')
end

-- The version after which those of a change go on, which the server of the name `run` makes.
local function kv_version_before_change(kv, run)
  local known = redis.call('HGET', kv.store, 'run')
  if known == run then return kv_version(kv) end
  redis.call('HSET', kv.store, 'run', run)
  if not known then redis.call('HSET', kv.store, 'born', text_of(now_us(''))) end
  return kv_version(kv) + (known and KV_VERSIONS_LOST_MAX or 0)
end

local function kv_grow(kv, keys, bytes)
  if keys ~= 0 then redis.call('HINCRBY', kv.store, 'keys', text_of(keys)) end
  if bytes == 0 then return end
  redis.call('HINCRBY', kv.store, 'bytes', text_of(bytes))
  redis.call('HINCRBY', kv.sizes, kv.space, text_of(bytes))
end

-- Removes an existing entry.
local function kv_take_out(kv, key, head)
  redis.call('ZREM', kv.order, key)
  redis.call('HDEL', kv.heads, key)
  redis.call('HDEL', kv.data, key)
  if head.ends then redis.call('ZREM', kv.ends, kv.space .. '/' .. key) end
  kv_grow(kv, -1, -(kv.overhead + #key + head.bytes))
  if redis.call('EXISTS', kv.order) == 0 then redis.call('HDEL', kv.sizes, kv.space) end
end

local function kv_note(kv, kind, version, key, data, value_kind, ends)
  local change = { kv.space, kind, text_of(version), key, data or '', value_kind or '', ends or '' }
  kv.changes[#kv.changes + 1] = change
end

-- Frees up to `most` expired entries of all spaces. Returns how many.
local function kv_reclaim(kv, now, most)
  local due = redis.call('ZRANGEBYSCORE', kv.ends, '-inf', '(' .. kv_text(now), 'LIMIT', 0, most)
  for _, member in ipairs(due) do
    local slash = string.find(member, '/', 1, true)
    local space, key = string.sub(member, 1, slash - 1), string.sub(member, slash + 1)
    local other = space == kv.space and kv or kv_open(kv.store, space)
    local head = kv_head(other, key)
    if head then
      kv_take_out(other, key, head)
      kv_note(other, KV_EXPIRE, head.version, key)
      if other ~= kv then kv.changes[#kv.changes + 1] = other.changes[1] end
    else
      redis.call('ZREM', kv.ends, member)
    end
  end
  return #due
end

-- Publishes a numbered message about the changes to watches: its number, the time `born` of the store, then
-- fields of each change, all with their lengths.
local function kv_publish(kv)
  if #kv.changes == 0 then return end
  local number = redis.call('HINCRBY', kv.store, 'told', 1)
  if redis.call('PUBSUB', 'NUMSUB', kv.store)[2] == 0 then return end
  local out = {}
  local function add(field) out[#out + 1] = #field .. ':' .. field end
  add(text_of(number))
  add(redis.call('HGET', kv.store, 'born') or '')
  for _, change in ipairs(kv.changes) do
    for _, field in ipairs(change) do add(field) end
  end
  redis.call('PUBLISH', kv.store, table.concat(out))
end

-- Whether a range still has the number of keys that a transaction read there; the keys themselves are unchanged.
local function kv_range_holds(kv, now, from, to, count)
  if redis.call('ZLEXCOUNT', kv.order, from, to) == count then return true end
  local found = 0
  while true do
    local keys = redis.call('ZRANGEBYLEX', kv.order, from, to, 'LIMIT', 0, KV_CHUNK)
    if #keys == 0 then return found == count end
    for _, text in ipairs(redis.call('HMGET', kv.heads, unpack(keys))) do
      if kv_is_alive(kv_parse(text), now) then found = found + 1 end
    end
    if found > count then return false end
    from = '(' .. keys[#keys]
  end
end

-- Validates the reads of a transaction, in ARGV from `at` on: the number of keys, each with its version (0:
-- absent); the number of ranges, each with its bounds and the number of its keys. Returns nil and the next argument
-- if all are valid; else the first key that has changed (empty for a range) and its version.
local function kv_find_conflict(kv, now, at)
  local keys = tonumber(ARGV[at])
  for i = at + 1, at + 2 * keys, 2 do
    local version = kv_version_of(kv, ARGV[i], now)
    if version ~= tonumber(ARGV[i + 1]) then return ARGV[i], version end
  end
  at = at + 2 * keys + 1
  local ranges = tonumber(ARGV[at])
  for i = at + 1, at + 3 * ranges, 3 do
    local from, to, count = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
    if not kv_range_holds(kv, now, from, to, count) then return '', 0 end
  end
  return nil, at + 3 * ranges + 1
end

-- Whether a transaction may continue to read. In ARGV from `at` on: the version of the store at its first read
-- (empty: this is the first one) and at its last one, then `-`, or its reads. Returns CONFLICT, or
-- MOVED: the store has changed, and the reads must be compared.
local function kv_obstacle(kv, now, at)
  if ARGV[at] == '' or kv_version(kv) == tonumber(ARGV[at + 1]) then return nil end
  if ARGV[at + 2] == '-' then return 'MOVED' end
  return kv_find_conflict(kv, now, at + 2) and 'CONFLICT' or nil
end
