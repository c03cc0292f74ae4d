-- needs conversations
--
-- KEYS  conv:<id>
-- ARGV  prefix, clock, deadline (none), id, principal
-- Returns {'OK', values, messages}, see `conv_shown`; {'GONE'}, the principal has no such conversation.
local prefix, id, principal = ARGV[1], ARGV[4], ARGV[5]

local context = { now = math.floor(now_us(ARGV[2])), has_clock = ARGV[2] ~= '' }
if not conv_load(prefix, id, principal, context) then return { 'GONE' } end
return { 'OK', unpack(conv_shown(prefix, id)) }
