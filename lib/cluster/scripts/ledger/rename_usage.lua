-- Moves the usage of a principal to another name.
--
-- KEYS  usagehours
-- ARGV  prefix, clock, deadline, principal, name, first hour, limit (of hours)
-- Returns {'OK', hour to continue from; empty: end}; {'LATE'}.
local prefix, limit = ARGV[1], tonumber(ARGV[7])
if is_late(now_us(''), ARGV[3]) then return { 'LATE' } end

local function row_of(principal) return string.sub(cjson.encode({ principal }), 1, -2) .. ',' end
local old, new = row_of(ARGV[4]), row_of(ARGV[5])
local hours = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[6], '+inf', 'LIMIT', 0, limit)
for _, hour in ipairs(hours) do
  local key = prefix .. 'usage:' .. hour
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, #old) == old then
      local field = new .. string.sub(fields[i], #old + 1)
      local is_known = redis.call('HEXISTS', key, field) == 1
      redis.call('HINCRBY', key, field, fields[i + 1])
      redis.call('HDEL', key, fields[i])
      if is_known and string.sub(field, -2) == ' r' then redis.call('DECR', prefix .. 'usagerows') end
    end
  end
end
if #hours < limit then return { 'OK', '' } end
return { 'OK', text_of(tonumber(hours[#hours]) + 1) }
