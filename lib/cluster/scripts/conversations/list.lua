-- needs conversations
--
-- Lists conversations of a principal, latest activity first, without their messages.
--
-- KEYS  convs:<principal>
-- ARGV  prefix, clock, deadline (none), principal, after (an id; empty: none), limit
-- Returns {'OK', has_more (`1`, `0`), then for each its id and the values of CONV_FIELDS}; {'UNKNOWN'},
-- `after` is not a conversation of the principal.
local prefix, principal, after, limit = ARGV[1], ARGV[4], ARGV[5], tonumber(ARGV[6])
local index = KEYS[1]

local context = { now = math.floor(now_us(ARGV[2])), has_clock = ARGV[2] ~= '' }
conv_drop_expired(prefix, context, CONV_EXPIRED_MAX_FULL)
local rank = 0
if after ~= '' then
  local found = conv_load(prefix, after, principal, context) and redis.call('ZRANK', index, after)
  if not found then return { 'UNKNOWN' } end
  rank = found + 1
end
local function own() return principal end
return { 'OK', unpack(conv_page(prefix, index, rank, limit, own, context)) }
