-- Conversations: a hash `conv:<id>`, its messages as JSON in the list `conv:<id>:m`, and an index
-- `convs:<principal>` by the time of their last change, newest first; `convrecent` has those of all principals.
--
-- Fields of the hash: principal, title and metadata (JSON), created_ms, updated_ms, ttl_ms and expires_ms
-- (empty: never), count and size (of the messages, and the sum of their bytes), charged (bytes that count
-- against the limits), forked (JSON); and for the running turn job (its id), asked (JSON: a list of
-- messages as JSON) and asked_bytes.
--
-- `convbytes` has the charged bytes of each principal, `convbytes:total` the sum. Conversations with an expiry
-- are in `convexpiry` with the bytes to give back.

-- Bytes charged per conversation in addition to its texts: about the size of its keys and numbers.
local CONV_OWN_BYTES = 400
-- Expired conversations removed by one script: as a side task, and before a refusal for lack of room.
local CONV_EXPIRED_MAX, CONV_EXPIRED_MAX_FULL = 20, 10000
-- A call in a script can have about 8000 arguments.
local CONV_PUSHED_MAX = 1000

local CONV_FIELDS = {
  'principal', 'title', 'metadata', 'created_ms', 'updated_ms', 'ttl_ms', 'expires_ms', 'count',
  'size', 'charged', 'forked', 'job', 'asked_bytes',
}

local function conv_key(prefix, id) return prefix .. 'conv:' .. id end

local function conv_list_key(prefix, id) return prefix .. 'conv:' .. id .. ':m' end

local function conv_ms(context) return math.floor(context.now / 1000) end

-- A message as JSON, with its time.
local function conv_dated(json, context)
  local seconds = text_of(math.floor(context.now / 1000000))
  return string.sub(json, 1, -2) .. ',"createdAt":' .. seconds .. '}'
end

local function conv_count_bytes(prefix, principal, change)
  if change == 0 then return end
  local of_principal = redis.call('HINCRBY', prefix .. 'convbytes', principal, text_of(change))
  if of_principal <= 0 then redis.call('HDEL', prefix .. 'convbytes', principal) end
  redis.call('INCRBY', prefix .. 'convbytes:total', text_of(change))
end

-- The member of `convexpiry`; the name of a principal may have spaces.
local function conv_expiry_of(id, conv)
  return id .. ' ' .. text_of(conv.charged) .. ' ' .. conv.principal
end

local function conv_forget(prefix, id, conv)
  redis.call('DEL', conv_key(prefix, id), conv_list_key(prefix, id))
  redis.call('ZREM', prefix .. 'convs:' .. conv.principal, id)
  redis.call('ZREM', prefix .. 'convrecent', id)
  redis.call('ZREM', prefix .. 'convexpiry', conv_expiry_of(id, conv))
  conv_count_bytes(prefix, conv.principal, -conv.charged)
end

-- Removes expired conversations and gives back their bytes.
local function conv_drop_expired(prefix, context, max)
  local before = '(' .. text_of(conv_ms(context))
  local expired = redis.call('ZRANGEBYSCORE', prefix .. 'convexpiry', '-inf', before, 'LIMIT', 0, max)
  for _, entry in ipairs(expired) do
    local id, charged, principal = string.match(entry, '^(%S+) (%d+) (.*)$')
    conv_forget(prefix, id, { principal = principal, charged = tonumber(charged) })
  end
end

-- Writes the changes of a conversation. Without a turn, its time to live starts again.
local function conv_write(prefix, id, conv, context)
  local key, list = conv_key(prefix, id), conv_list_key(prefix, id)
  redis.call('ZREM', prefix .. 'convexpiry', conv_expiry_of(id, conv))
  local charged = CONV_OWN_BYTES + #(conv.title or '') + #(conv.metadata or '') + conv.asked_bytes
  -- Counted as one JSON array, with commas and brackets.
  if conv.count > 0 then charged = charged + conv.size + conv.count + 1 end
  conv_count_bytes(prefix, conv.principal, charged - conv.charged)
  conv.charged = charged
  local ttl_ms = conv.ttl_ms ~= '' and not conv.job and tonumber(conv.ttl_ms)
  conv.expires_ms = ttl_ms and text_of(conv_ms(context) + math.ceil(ttl_ms)) or ''
  redis.call(
    'HSET', key, 'updated_ms', conv.updated_ms, 'expires_ms', conv.expires_ms,
    'count', text_of(conv.count), 'size', text_of(conv.size), 'charged', text_of(charged),
    'asked_bytes', text_of(conv.asked_bytes)
  )
  for _, index in ipairs({ 'convs:' .. conv.principal, 'convrecent' }) do
    redis.call('ZADD', prefix .. index, '-' .. conv.updated_ms, id)
  end
  for _, each in ipairs({ key, list }) do
    -- With the clock of a test only an access removes it.
    if ttl_ms and not context.has_clock then
      redis.call('PEXPIRE', each, text_of(math.ceil(ttl_ms)))
    else
      redis.call('PERSIST', each)
    end
  end
  if ttl_ms then
    redis.call('ZADD', prefix .. 'convexpiry', conv.expires_ms, conv_expiry_of(id, conv))
  end
end

local function conv_push(list, messages, conv)
  for first = 1, #messages, CONV_PUSHED_MAX do
    local last = math.min(first + CONV_PUSHED_MAX - 1, #messages)
    redis.call('RPUSH', list, unpack(messages, first, last))
  end
  for _, message in ipairs(messages) do conv.size = conv.size + #message end
  conv.count = conv.count + #messages
end

-- Ends the turn of a conversation, and adds its messages and the answer, as JSON; nil: adds nothing.
local function conv_end_turn(prefix, id, conv, answer, context)
  local key = conv_key(prefix, id)
  if answer then
    local messages = cjson.decode(redis.call('HGET', key, 'asked') or '[]')
    messages[#messages + 1] = conv_dated(answer, context)
    conv_push(conv_list_key(prefix, id), messages, conv)
    conv.updated_ms = text_of(conv_ms(context))
  end
  redis.call('HDEL', key, 'job', 'asked')
  conv.job, conv.asked_bytes = nil, 0
  conv_write(prefix, id, conv, context)
  -- For the processes in which turns wait.
  redis.call('PUBLISH', key, 'free')
end

-- A conversation of a principal; nil: there is none. A turn whose job no longer exists has ended.
local function conv_load(prefix, id, principal, context)
  local values = redis.call('HMGET', conv_key(prefix, id), unpack(CONV_FIELDS))
  if values[1] ~= principal then return nil end
  local conv = {}
  for i, name in ipairs(CONV_FIELDS) do conv[name] = values[i] or nil end
  for _, name in ipairs({ 'count', 'size', 'charged', 'asked_bytes' }) do
    conv[name] = tonumber(conv[name] or 0)
  end
  if conv.expires_ms ~= '' and conv_ms(context) > tonumber(conv.expires_ms) then
    conv_forget(prefix, id, conv)
    return nil
  end
  if conv.job and redis.call('EXISTS', prefix .. 'job:' .. conv.job) == 0 then
    conv_end_turn(prefix, id, conv, nil, context)
  end
  return conv
end

-- The limit that more bytes would exceed: `principal` or `total`; nil: there is room.
local function conv_full(prefix, principal, more, limits, context)
  local function refusing()
    local of_principal = tonumber(redis.call('HGET', prefix .. 'convbytes', principal) or 0)
    if of_principal + more > limits.of_principal then return 'principal' end
    local total = tonumber(redis.call('GET', prefix .. 'convbytes:total') or 0)
    if total + more > limits.total then return 'total' end
  end
  if not refusing() then return nil end
  conv_drop_expired(prefix, context, CONV_EXPIRED_MAX_FULL)
  return refusing()
end

-- Adds a conversation, unless there are too many or no room. Returns as `conversations/create`.
local function conv_add(prefix, id, conv, messages, limits, context)
  conv_drop_expired(prefix, context, CONV_EXPIRED_MAX)
  local index = prefix .. 'convs:' .. conv.principal
  if redis.call('ZCARD', index) >= limits.count then
    conv_drop_expired(prefix, context, CONV_EXPIRED_MAX_FULL)
    if redis.call('ZCARD', index) >= limits.count then return { 'FULL', 'count' } end
  end
  local bytes = CONV_OWN_BYTES + #(conv.title or '') + #(conv.metadata or '') + #messages + 1
  for _, message in ipairs(messages) do bytes = bytes + #message end
  local full = conv_full(prefix, conv.principal, bytes, limits, context)
  if full then return { 'FULL', full } end
  local key, now_ms = conv_key(prefix, id), text_of(conv_ms(context))
  redis.call('HSET', key, 'principal', conv.principal, 'created_ms', now_ms, 'ttl_ms', conv.ttl_ms)
  for _, name in ipairs({ 'title', 'metadata', 'forked' }) do
    if conv[name] then redis.call('HSET', key, name, conv[name]) end
  end
  conv.updated_ms, conv.count, conv.size, conv.charged, conv.asked_bytes = now_ms, 0, 0, 0, 0
  conv_push(conv_list_key(prefix, id), messages, conv)
  conv_write(prefix, id, conv, context)
  return nil
end

-- A conversation in the format of answers: {values of CONV_FIELDS and `asked`, messages}.
local function conv_shown(prefix, id)
  local values = redis.call('HMGET', conv_key(prefix, id), 'asked', unpack(CONV_FIELDS))
  return { values, redis.call('LRANGE', conv_list_key(prefix, id), 0, -1) }
end

-- A page of an index: {has_more (`1`, `0`), then for each its id and the values of CONV_FIELDS}. Removes
-- missing conversations (evicted, for example) from the index. `principal_of(id)` is the principal of each.
local function conv_page(prefix, index, first, limit, principal_of, context)
  local ids
  repeat
    local is_whole = true
    ids = redis.call('ZRANGE', index, first, first + limit)
    for _, id in ipairs(ids) do
      local principal = principal_of(id)
      if not principal or not conv_load(prefix, id, principal, context) then
        redis.call('ZREM', index, id)
        is_whole = false
      end
    end
  until is_whole
  local page = { #ids > limit and '1' or '0' }
  for i = 1, math.min(#ids, limit) do
    page[i + 1] = { ids[i], redis.call('HMGET', conv_key(prefix, ids[i]), unpack(CONV_FIELDS)) }
  end
  return page
end

-- Deletes a conversation, and requests the cancellation of its turn's job.
local function conv_delete(prefix, id, conv)
  if conv.job then
    local job = prefix .. 'job:' .. conv.job
    local owner = redis.call('HGET', job, 'owner')
    if redis.call('HSETNX', job, 'cancel', 'client_request') == 1 and owner ~= '-' then
      tell(prefix, owner, 'cancel ' .. conv.job .. ' client_request')
    end
  end
  conv_forget(prefix, id, conv)
  -- Waiting turns are refused because the conversation no longer exists.
  redis.call('PUBLISH', conv_key(prefix, id), 'free')
end
