-- needs conversations
--
-- The conversations of all principals with the latest activity, without their messages.
--
-- KEYS  convrecent
-- ARGV  prefix, clock, deadline (none), limit
-- Returns {has_more (`1`, `0`), then for each its id and the values of CONV_FIELDS}.
local prefix, limit = ARGV[1], tonumber(ARGV[4])

local context = { now = math.floor(now_us(ARGV[2])), has_clock = ARGV[2] ~= '' }
conv_drop_expired(prefix, context, CONV_EXPIRED_MAX_FULL)
local function principal_of(id) return redis.call('HGET', conv_key(prefix, id), 'principal') end
return conv_page(prefix, KEYS[1], 0, limit, principal_of, context)
