-- needs durable
-- Appends to a stream, closes it, or both.
--
-- KEYS  durables:<space>
-- ARGV  prefix, clock, deadline, space, path, maximum bytes (of all, of the principal), media of the body (empty:
--       not given), whether there is a body (empty or 1), content, its fault (empty: none), whether the
--       stream is to be closed (empty or 1), Stream-Seq after a `=` (empty: none), then id, epoch and seq of a
--       producer (empty: none)
-- Returns {'OK', head, see `durable_shown`}; {'SAME', head, seq}, a repeated request, whose producer has
-- reached `seq`; {'NONE'}; {'GONE'}, deleted, with forks; {'CLOSED', head}; {'EMPTY'}, nothing to do;
-- {'UNTYPED'}; {'MISMATCH', type}; {'STALE', epoch}, the producer has begun a later one; {'ZERO'}, its sequence
-- must begin with 0; {'GAP', expected seq}; {'SEQ', the largest Stream-Seq}; {'BAD'}, invalid content; {'FULL',
-- limit}; {'LATE'}.
local prefix, space, path = ARGV[1], ARGV[4], ARGV[5]
local now = now_us(ARGV[2])
if is_late(now, ARGV[3]) then return { 'LATE' } end
local now_ms = math.floor(now / 1000)
local media, content, closes = ARGV[8], ARGV[10], ARGV[12] ~= ''
local has_body, seq = ARGV[9] ~= '', string.sub(ARGV[13], 2)
local producer = ARGV[14] ~= '' and { id = ARGV[14], epoch = ARGV[15], seq = ARGV[16] } or nil

-- Whether a string sorts after another one by bytes; the operators of Lua follow the server's locale.
local function is_after(text, other)
  for i = 1, #text do
    local own, their = string.byte(text, i), string.byte(other, i)
    if own ~= their then return their == nil or own > their end
  end
  return false
end

local head = durable_find(prefix, space, path, now_ms)
if not head then return { 'NONE' } end
if head.deleted ~= '' then return { 'GONE' } end
local closer = producer and cjson.encode({ producer.id, producer.epoch, producer.seq }) or ''
if head.closed ~= '' then
  if not producer and closes and not has_body then return { 'SAME', durable_shown(head), '' } end
  if closer == '' or closer ~= head.closed_by then return { 'CLOSED', durable_shown(head) } end
  return { 'SAME', durable_shown(head), producer.seq }
end
if has_body then
  if media == '' then return { 'UNTYPED' } end
  if media ~= head.media then return { 'MISMATCH', head.type } end
elseif not closes then
  return { 'EMPTY' }
end

local producers = durable_key(prefix, head.id) .. ':p'
local charged = #content > 0 and DURABLE_ENTRY_BYTES + #content or 0
if producer then
  local known = redis.call('HGET', producers, producer.id)
  local epoch, reached = string.match(known or '', '^(%d+) (%d+)$')
  local own_epoch, own_seq = tonumber(producer.epoch), tonumber(producer.seq)
  if known and own_epoch < tonumber(epoch) then return { 'STALE', epoch } end
  if not known or own_epoch > tonumber(epoch) then
    if own_seq ~= 0 then return known and { 'ZERO' } or { 'GAP', '0' } end
  elseif own_seq > tonumber(reached) + 1 then
    return { 'GAP', text_of(tonumber(reached) + 1) }
  elseif own_seq <= tonumber(reached) then
    return { 'SAME', durable_shown(head), reached }
  end
  if not known then charged = charged + DURABLE_ENTRY_BYTES + #producer.id end
end
if ARGV[13] ~= '' and head.seq ~= '' and not is_after(seq, string.sub(head.seq, 2)) then
  return { 'SEQ', string.sub(head.seq, 2) }
end
if ARGV[11] ~= '' then return { 'BAD' } end
-- A close without content is never refused.
if #content > 0 then
  local limits = durable_limits('0', '0', ARGV[6], ARGV[7])
  local limit = durable_full(prefix, now_ms, space, limits, 0, charged)
  if limit then return { 'FULL', limit } end
end

if #content > 0 then durable_write(prefix, head.id, tonumber(head.tail), content) end
if producer then redis.call('HSET', producers, producer.id, producer.epoch .. ' ' .. producer.seq) end
head.tail = text_of(tonumber(head.tail) + #content)
head.charged = text_of(tonumber(head.charged) + charged)
head.deadline_ms = durable_deadline(head, now_ms)
if closes then head.closed, head.closed_by = '1', closer end
if ARGV[13] ~= '' then head.seq = ARGV[13] end
durable_store(prefix, head, { 'tail', 'charged', 'deadline_ms', 'closed', 'closed_by', 'seq' })
durable_count(prefix, space, 0, charged)
durable_tell(prefix, head.id)
return { 'OK', durable_shown(head) }
