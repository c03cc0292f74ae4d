-- Durable streams: a hash `durable:<id>` each, with its data in the stream `durable:<id>:d`, one entry
-- `<position>-1` with the field `d` for each append, and its producers in the hash `durable:<id>:p`, each with
-- `<epoch> <seq>` of its last accepted request.
--
-- Fields of the hash: space (of the principal), path, origin (id that offsets begin with), type, media (the type
-- without parameters, in lower case), asked (JSON), ttl_ms, expires_ms and deadline_ms (empty: never), inherited (of
-- a fork: `<id>:<from>:<to>` of each part, with spaces), base and tail (positions), source (id, empty for none),
-- forks (number), closed (empty or 1), closed_by (JSON), deleted (empty, or 1: kept for its forks), seq (the
-- largest Stream-Seq), charged (bytes that count against the limits).
--
-- `durables:<space>` has the ids of a principal by path, `durabledue` ids by deadline, `durablebytes` the charged
-- bytes by principal, `durable` the number of `streams`, their `bytes`, and the `last` id.

-- Bytes charged per stream, append and producer in addition to their content.
local DURABLE_STREAM_BYTES, DURABLE_ENTRY_BYTES = 200, 40
-- Expired streams removed by one change: as a side task, and before a refusal for lack of room.
local DURABLE_EXPIRED_MAX, DURABLE_EXPIRED_MAX_FULL = 2, 1000
-- An access is stored only if it moves the deadline by this share of the time to live.
local DURABLE_STORED_SHARE = 0.1
-- Entries requested by one XRANGE if all of them fit into a page.
local DURABLE_ENTRIES_AT_ONCE = 64

local DURABLE_FIELDS = {
  'space', 'path', 'origin', 'type', 'media', 'asked', 'ttl_ms', 'expires_ms', 'deadline_ms', 'inherited',
  'base', 'tail', 'source', 'forks', 'closed', 'closed_by', 'deleted', 'seq', 'charged',
}

local function durable_key(prefix, id) return prefix .. 'durable:' .. id end

local function durable_load(prefix, id)
  local values = redis.call('HMGET', durable_key(prefix, id), unpack(DURABLE_FIELDS))
  if not values[1] then return nil end
  local head = { id = id }
  for i, name in ipairs(DURABLE_FIELDS) do head[name] = values[i] or '' end
  return head
end

-- Writes the named fields of a head; all by default.
local function durable_store(prefix, head, names)
  local flat = {}
  for _, name in ipairs(names or DURABLE_FIELDS) do
    flat[#flat + 1] = name
    flat[#flat + 1] = head[name]
  end
  redis.call('HSET', durable_key(prefix, head.id), unpack(flat))
  if head.deadline_ms ~= '' then redis.call('ZADD', prefix .. 'durabledue', head.deadline_ms, head.id) end
end

-- The id and the fields in order, in the format of answers.
local function durable_shown(head)
  local values = { head.id }
  for i, name in ipairs(DURABLE_FIELDS) do values[i + 1] = head[name] end
  return values
end

-- Wakes the readers that wait for a change.
local function durable_tell(prefix, id) redis.call('PUBLISH', durable_key(prefix, id), '') end

local function durable_count(prefix, space, streams, bytes)
  local all = prefix .. 'durable'
  if streams ~= 0 then redis.call('HINCRBY', all, 'streams', text_of(streams)) end
  if bytes == 0 then return end
  redis.call('HINCRBY', all, 'bytes', text_of(bytes))
  local own = redis.call('HINCRBY', prefix .. 'durablebytes', space, text_of(bytes))
  if own <= 0 then redis.call('HDEL', prefix .. 'durablebytes', space) end
end

-- Removes a stream with its data unconditionally. The first command needs no memory, so a full server accepts it.
local function durable_remove(prefix, head)
  local key = durable_key(prefix, head.id)
  redis.call('UNLINK', key, key .. ':d', key .. ':p')
  redis.call('ZREM', prefix .. 'durabledue', head.id)
  local paths = prefix .. 'durables:' .. head.space
  if redis.call('HGET', paths, head.path) == head.id then redis.call('HDEL', paths, head.path) end
  durable_count(prefix, head.space, -1, -tonumber(head.charged))
  durable_tell(prefix, head.id)
end

-- Deletes a stream, or marks it as deleted while it has forks, and then its deleted sources that have no forks
-- left.
local function durable_delete(prefix, head)
  local forks, deleted = tonumber(head.forks), true
  while head do
    if forks > 0 or not deleted then
      local key = durable_key(prefix, head.id)
      if deleted then
        -- Needs no memory, as in durable_remove.
        redis.call('ZREM', prefix .. 'durabledue', head.id)
        redis.call('HSET', key, 'deleted', '1', 'deadline_ms', '')
        durable_tell(prefix, head.id)
      end
      redis.call('HSET', key, 'forks', text_of(forks))
      return
    end
    durable_remove(prefix, head)
    head = head.source ~= '' and durable_load(prefix, head.source) or nil
    if head then forks, deleted = tonumber(head.forks) - 1, head.deleted ~= '' end
  end
end

local function durable_is_over(head, now_ms)
  return head.deadline_ms ~= '' and now_ms >= tonumber(head.deadline_ms)
end

-- The stream at a path, or nil. Deletes an expired stream.
local function durable_find(prefix, space, path, now_ms)
  local id = redis.call('HGET', prefix .. 'durables:' .. space, path)
  local head = id and durable_load(prefix, id)
  if not head then return nil end
  if not durable_is_over(head, now_ms) then return head end
  durable_delete(prefix, head)
  return durable_load(prefix, id)
end

-- Deletes up to `most` expired streams of all principals. Returns how many.
local function durable_sweep(prefix, now_ms, most)
  local due = redis.call('ZRANGEBYSCORE', prefix .. 'durabledue', '-inf', text_of(now_ms), 'LIMIT', 0, most)
  for _, id in ipairs(due) do
    local head = durable_load(prefix, id)
    if head then durable_delete(prefix, head) else redis.call('ZREM', prefix .. 'durabledue', id) end
  end
  return #due
end

-- The limit that more streams or bytes of a principal would exceed, or nil. `limits` has streams and bytes, for
-- one principal (own) and for all.
local function durable_exceeded(prefix, space, limits, streams, bytes)
  local all = redis.call('HMGET', prefix .. 'durable', 'streams', 'bytes')
  if streams > 0 then
    if redis.call('HLEN', prefix .. 'durables:' .. space) + streams > limits.own_streams then
      return 'maxStreamsPerPrincipal'
    end
    if tonumber(all[1] or '0') + streams > limits.streams then return 'maxStreams' end
  end
  if tonumber(all[2] or '0') + bytes > limits.bytes then return 'maxBytes' end
  local own = redis.call('HGET', prefix .. 'durablebytes', space)
  if tonumber(own or '0') + bytes > limits.own_bytes then return 'maxBytesPerPrincipal' end
end

-- The same, after the removal of expired streams.
local function durable_full(prefix, now_ms, space, limits, streams, bytes)
  durable_sweep(prefix, now_ms, DURABLE_EXPIRED_MAX)
  local limit = durable_exceeded(prefix, space, limits, streams, bytes)
  if not limit or durable_sweep(prefix, now_ms, DURABLE_EXPIRED_MAX_FULL) == 0 then return limit end
  return durable_exceeded(prefix, space, limits, streams, bytes)
end

local function durable_limits(streams, own_streams, bytes, own_bytes)
  return {
    streams = tonumber(streams), own_streams = tonumber(own_streams),
    bytes = tonumber(bytes), own_bytes = tonumber(own_bytes),
  }
end

-- The deadline of a stream after an access now; empty: none.
local function durable_deadline(head, now_ms)
  if head.ttl_ms == '' then return head.expires_ms end
  return text_of(now_ms + tonumber(head.ttl_ms))
end

-- Moves the deadline of a stream that is read. While Redis is full, reads do not move it.
local function durable_touch(prefix, head, now_ms)
  if head.ttl_ms == '' or head.deadline_ms == '' then return end
  local deadline = durable_deadline(head, now_ms)
  local moved = tonumber(deadline) - tonumber(head.deadline_ms)
  if moved <= 0 or moved < DURABLE_STORED_SHARE * tonumber(head.ttl_ms) then return end
  local done = redis.pcall('HSET', durable_key(prefix, head.id), 'deadline_ms', deadline)
  if type(done) == 'table' and done.err then return end
  redis.call('ZADD', prefix .. 'durabledue', deadline, head.id)
  head.deadline_ms = deadline
end

-- Writes content (not empty) at a position.
local function durable_write(prefix, id, position, content)
  redis.call('XADD', durable_key(prefix, id) .. ':d', text_of(position) .. '-1', 'd', content)
end

-- The parts of the data that a stream reads, in order: id, from, to.
local function durable_segments(head)
  local segments = {}
  for id, from, to in string.gmatch(head.inherited, '(%d+):(%d+):(%d+)') do
    segments[#segments + 1] = { id, tonumber(from), tonumber(to) }
  end
  segments[#segments + 1] = { head.id, tonumber(head.base), tonumber(head.tail) }
  return segments
end

local function durable_position(entry) return tonumber(string.match(entry[1], '^(%d+)')) end

-- Entries of one part from a position on, the first one cut to start there.
local function durable_entries(prefix, segment, position, count)
  local key = durable_key(prefix, segment[1]) .. ':d'
  local last = text_of(segment[3] - 1) .. '-1'
  local entries = redis.call('XRANGE', key, text_of(position) .. '-1', last, 'COUNT', count)
  if entries[1] and durable_position(entries[1]) == position then return entries end
  local before = redis.call('XREVRANGE', key, text_of(position) .. '-1', '-', 'COUNT', 1)[1]
  local skipped = before and position - durable_position(before)
  if not before or skipped >= #before[2][2] then
    error('durable stream ' .. segment[1] .. ' has no data at position ' .. text_of(position))
  end
  return { { text_of(position) .. '-1', { 'd', string.sub(before[2][2], skipped + 1) } } }
end

-- Data from a position on: up to `bytes_max`, or one larger append, and up to `count_max` appends. Returns a list
-- of them and the position after them.
local function durable_read(prefix, head, position, bytes_max, count_max)
  local chunks, bytes = {}, 0
  for _, segment in ipairs(durable_segments(head)) do
    while position < segment[3] and bytes < bytes_max and #chunks < count_max do
      -- Limits each read to the size of the page.
      local fits = segment[3] - position <= bytes_max - bytes
      local count = fits and math.min(DURABLE_ENTRIES_AT_ONCE, count_max - #chunks) or 1
      for _, entry in ipairs(durable_entries(prefix, segment, position, count)) do
        local chunk = string.sub(entry[2][2], 1, segment[3] - position)
        if bytes > 0 and bytes + #chunk > bytes_max then return chunks, position end
        chunks[#chunks + 1] = chunk
        bytes, position = bytes + #chunk, position + #chunk
      end
    end
  end
  return chunks, position
end

-- Whether an append begins at a position, or the data of the stream ends there.
local function durable_is_boundary(prefix, head, position)
  for _, segment in ipairs(durable_segments(head)) do
    if position < segment[3] then
      if position == segment[2] then return true end
      local id = text_of(position) .. '-1'
      return #redis.call('XRANGE', durable_key(prefix, segment[1]) .. ':d', id, id) > 0
    end
  end
  return position <= tonumber(head.tail)
end
