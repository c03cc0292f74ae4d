-- needs durable
-- Creates a stream unless the path has one.
--
-- KEYS  durables:<space>
-- ARGV  prefix, clock, deadline, space, path, maximum streams and bytes (of all, of the principal; of all, of the
--       principal), type, media, asked, ttl_ms, expires_ms, closed (empty or 1), content, its fault
--       (empty: none), then for a fork the id of its source (empty: not a fork), path of the source, origin,
--       inherited and base
-- Returns {'OK', head, see `durable_shown`}; {'THERE', head}; {'BAD'}, invalid content; {'MOVED'}, the path of the
-- source has another stream now; {'FULL', limit}; {'LATE'}.
local prefix, space, path = ARGV[1], ARGV[4], ARGV[5]
local now = now_us(ARGV[2])
if is_late(now, ARGV[3]) then return { 'LATE' } end
local now_ms = math.floor(now / 1000)

local there = durable_find(prefix, space, path, now_ms)
if there then return { 'THERE', durable_shown(there) } end
local source_id = ARGV[18]
local source = source_id ~= '' and durable_find(prefix, space, ARGV[19], now_ms) or nil
if source_id ~= '' and (not source or source.id ~= source_id or source.deleted ~= '') then return { 'MOVED' } end
if ARGV[17] ~= '' then return { 'BAD' } end

local content = ARGV[16]
local head = {
  space = space, path = path, type = ARGV[10], media = ARGV[11], asked = ARGV[12], ttl_ms = ARGV[13],
  expires_ms = ARGV[14], closed = ARGV[15], inherited = ARGV[21] or '', base = source and ARGV[22] or '0',
  source = source_id, forks = '0', closed_by = '', deleted = '', seq = '',
}
local charged = DURABLE_STREAM_BYTES + #path + #head.type + #head.asked + #head.inherited
if #content > 0 then charged = charged + DURABLE_ENTRY_BYTES + #content end
local limits = durable_limits(ARGV[6], ARGV[7], ARGV[8], ARGV[9])
local limit = durable_full(prefix, now_ms, space, limits, 1, charged)
if limit then return { 'FULL', limit } end

-- Ids are never reused, even after Redis has lost its data: an id is a time, or follows the last id.
local last = tonumber(redis.call('HGET', prefix .. 'durable', 'last') or '0')
head.id = text_of(math.max(last + 1, math.floor(now)))
redis.call('HSET', prefix .. 'durable', 'last', head.id)
head.origin = source and ARGV[20] or head.id
head.tail = text_of(tonumber(head.base) + #content)
head.deadline_ms, head.charged = durable_deadline(head, now_ms), text_of(charged)
durable_store(prefix, head)
redis.call('HSET', prefix .. 'durables:' .. space, path, head.id)
if source then redis.call('HINCRBY', durable_key(prefix, source.id), 'forks', 1) end
if #content > 0 then durable_write(prefix, head.id, tonumber(head.base), content) end
durable_count(prefix, space, 1, charged)
return { 'OK', durable_shown(head) }
