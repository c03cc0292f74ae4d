-- needs conversations
--
-- Deletes a conversation, and asks for the cancellation of the job of its turn.
--
-- KEYS  conv:<id>
-- ARGV  prefix, clock, deadline, id, principal
-- Answers {'OK', job of its running turn, empty for none}; {'GONE'}; {'BUSY', job}, the job of its turn
-- waits for room in a queue; {'LATE'}.
local prefix, id, principal = ARGV[1], ARGV[4], ARGV[5]

local now = math.floor(now_us(ARGV[2]))
if is_late(now, ARGV[3]) then return { 'LATE' } end
local context = { now = now, has_clock = ARGV[2] ~= '' }

local conv = conv_load(prefix, id, principal, context)
if not conv then return { 'GONE' } end
if conv.job then
  local job = prefix .. 'job:' .. conv.job
  local owner, status, placed, taken =
    unpack(redis.call('HMGET', job, 'owner', 'status', 'placed', 'taken'))
  if status == 'queued' and not placed and not taken then return { 'BUSY', conv.job } end
  if redis.call('HSETNX', job, 'cancel', 'client_request') == 1 and owner ~= '-' then
    tell(prefix, owner, 'cancel ' .. conv.job .. ' client_request')
  end
end
conv_forget(prefix, id, conv)
-- Turns that wait for it find that it is gone.
redis.call('PUBLISH', KEYS[1], 'free')
return { 'OK', conv.job or '' }
