-- needs conversations
--
-- Deletes a conversation, and requests the cancellation of its turn's job.
--
-- KEYS  conv:<id>
-- ARGV  prefix, clock, deadline, id, principal, deadline of a creation that may still arrive (empty: none can)
-- Returns {'OK', job of its running turn; empty: none}; {'GONE'}; {'BUSY', job}, its turn's job
-- waits for room in a queue; {'LATE'}.
local prefix, id, principal = ARGV[1], ARGV[4], ARGV[5]

local now = math.floor(now_us(ARGV[2]))
if is_late(now, ARGV[3]) then return { 'LATE' } end
local context = { now = now, has_clock = ARGV[2] ~= '' }

local conv = conv_load(prefix, id, principal, context)
if not conv then
  mark_undone(prefix, id, ARGV[6] or '')
  return { 'GONE' }
end
if conv.job then
  local status, placed, taken =
    unpack(redis.call('HMGET', prefix .. 'job:' .. conv.job, 'status', 'placed', 'taken'))
  if status == 'queued' and not placed and not taken then return { 'BUSY', conv.job } end
end
conv_delete(prefix, id, conv)
return { 'OK', conv.job or '' }
