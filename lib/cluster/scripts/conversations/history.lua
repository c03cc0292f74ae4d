-- needs conversations
--
-- Returns the earlier messages for the next turn of a conversation; with `job`, also during that job's turn.
--
-- KEYS  conv:<id>
-- ARGV  prefix, clock, deadline (none), id, principal, job (an id; empty: none)
-- Returns {'FREE', bytes of the messages, messages}; {'BUSY', job of another turn}; {'GONE'}.
local prefix, id, principal, job = ARGV[1], ARGV[4], ARGV[5], ARGV[6]

local context = { now = math.floor(now_us(ARGV[2])), has_clock = ARGV[2] ~= '' }
local conv = conv_load(prefix, id, principal, context)
if not conv then return { 'GONE' } end
if conv.job and conv.job ~= job then return { 'BUSY', conv.job } end
local bytes = conv.count == 0 and 0 or conv.size + conv.count + 1
return { 'FREE', text_of(bytes), redis.call('LRANGE', conv_list_key(prefix, id), 0, -1) }
