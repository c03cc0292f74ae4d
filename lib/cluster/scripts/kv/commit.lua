-- needs kv
-- Makes all changes to keys of a space, or none.
--
-- KEYS  kv:<store>
-- ARGV  prefix, clock, deadline, run of the server, space, max_keys and max_bytes of the store, then of
--       the space (empty: no limit), the reads, which must still be valid, in the format of kv_find_conflict,
--       number of changes, then operation, key, kind, data and time to live of each, in the order of keys
-- An operation is `set`, `delete`, `touch` (changes the time to live of an existing key) or `add` (data,
-- an integer, is added to the key's; an absent key counts as 0). A time to live is in microseconds, empty
-- for none, `keep` for the present end of the key.
-- Returns {'OK', version of the store, now_us, then for each change the version (0: unchanged), the
-- version before (0: absent), the sum of `add` and the end (`-`: none)}; {'CONFLICT', key (empty for a range),
-- version}; {'FULL', limit}; {'OTHER'}, the value for `add` is not an integer, or the sum is not exact; {'LATE'}.
local kv = kv_open(KEYS[1], ARGV[5])
local now = now_us(ARGV[2])
if is_late(now, ARGV[3]) then return { 'LATE' } end
local INTEGER_MAX = 9007199254740991

local conflict, at = kv_find_conflict(kv, now, 10)
if conflict then return { 'CONFLICT', conflict, text_of(at) } end

if tonumber(ARGV[at]) == 0 then return { 'OK', text_of(kv_version(kv)), kv_text(now) } end

-- An integer as JSON, or nil.
local function integer_of(text)
  if not string.match(text, '^-?%d+$') or text == '-0' then return nil end
  local number = tonumber(text)
  return math.abs(number) <= INTEGER_MAX and number or nil
end

local changes = {}
for i = at + 1, at + 5 * tonumber(ARGV[at]), 5 do
  local change = { op = ARGV[i], key = ARGV[i + 1], kind = ARGV[i + 2], data = ARGV[i + 3], ttl = ARGV[i + 4] }
  local head = kv_head(kv, change.key)
  change.former = kv_is_alive(head, now) and head or nil
  if change.op == 'add' then
    local sum = integer_of(change.data)
    if change.former then
      local value = head.kind == change.kind and integer_of(redis.call('HGET', kv.data, change.key))
      sum = value and sum + value
      change.ttl = 'keep'
    end
    if not sum or math.abs(sum) > INTEGER_MAX then return { 'OTHER' } end
    -- Not `-0`.
    change.data, change.op = text_of(sum == 0 and 0 or sum), 'set'
    change.sum = change.data
  end
  changes[#changes + 1] = change
end

-- An expired entry that is not replaced is not subtracted here: the reclaimer does this.
local function growth()
  local keys, bytes = 0, 0
  for _, change in ipairs(changes) do
    if change.op ~= 'touch' then
      local head = kv_head(kv, change.key)
      if head and (change.op == 'set' or change.former) then
        keys, bytes = keys - 1, bytes - kv.overhead - #change.key - head.bytes
      end
      if change.op == 'set' then
        keys, bytes = keys + 1, bytes + kv.overhead + #change.key + #change.data
      end
    end
  end
  return keys, bytes
end

-- The limit that the changes would exceed. A change that does not grow is never refused.
local function exceeded()
  local keys, bytes = growth()
  local function over(used, more, limit)
    return limit ~= '' and more > 0 and tonumber(used or '0') + more > tonumber(limit)
  end
  local all = redis.call('HMGET', kv.store, 'keys', 'bytes')
  if over(all[1], keys, ARGV[6]) then return 'maxKeys' end
  if over(all[2], bytes, ARGV[7]) then return 'maxBytes' end
  if over(redis.call('ZCARD', kv.order), keys, ARGV[8]) then return 'maxKeysPerPrincipal' end
  if over(redis.call('HGET', kv.sizes, kv.space), bytes, ARGV[9]) then return 'maxBytesPerPrincipal' end
end

kv_reclaim(kv, now, KV_RECLAIM_PER_CHANGE)
local limit = exceeded()
while limit and kv_reclaim(kv, now, KV_RECLAIM_PER_TRY) > 0 do limit = exceeded() end
if limit then
  kv_publish(kv)
  return { 'FULL', limit }
end

local version = kv_version_before_change(kv, ARGV[4])

local function end_of(change)
  if change.ttl == 'keep' then return change.former and change.former.ends end
  return change.ttl ~= '' and now + tonumber(change.ttl) or nil
end

-- Sets an entry; without data changes only its version and its end.
local function put(change, kind, bytes)
  local key, ends = change.key, end_of(change)
  local before = kv_head(kv, key)
  local member = kv.space .. '/' .. key
  if before and before.ends and not ends then redis.call('ZREM', kv.ends, member) end
  if ends then redis.call('ZADD', kv.ends, kv_text(ends), member) end
  redis.call('ZADD', kv.order, 0, key)
  local ends_text = ends and kv_text(ends) or '-'
  local head = text_of(version) .. ' ' .. kind .. ' ' .. bytes .. ' ' .. ends_text
  redis.call('HSET', kv.heads, key, head)
  if change.op == 'set' then redis.call('HSET', kv.data, key, change.data) end
  if before then kv_grow(kv, 0, bytes - before.bytes) else kv_grow(kv, 1, kv.overhead + #key + bytes) end
  local data = change.op == 'set' and change.data or redis.call('HGET', kv.data, key)
  kv_note(kv, KV_SET, version, key, data, kind, ends_text)
  return ends_text
end

local answer = { 'OK', '', kv_text(now) }
for _, change in ipairs(changes) do
  local former = change.former
  local is_done = change.op == 'set' or former ~= nil
  local ends = '-'
  if is_done then
    version = version + 1
    if change.op == 'set' then
      ends = put(change, change.kind, #change.data)
    elseif change.op == 'touch' then
      ends = put(change, former.kind, former.bytes)
    else
      kv_take_out(kv, change.key, former)
      kv_note(kv, KV_DELETE, version, change.key)
    end
  end
  answer[#answer + 1] = is_done and text_of(version) or '0'
  answer[#answer + 1] = former and text_of(former.version) or '0'
  answer[#answer + 1] = change.sum or ''
  answer[#answer + 1] = ends
end
redis.call('HSET', kv.store, 'version', text_of(version))
kv_publish(kv)
answer[2] = text_of(version)
return answer
