-- Reads the usage of at least one hour, up to about 20,000 fields.
--
-- KEYS  usagehours
-- ARGV  prefix, clock, deadline, first hour, last hour, limit (of hours), has_principal (`1`, `0`),
--       principal
-- Returns {'OK', {hour, field, count, field, count, ...}, ...} in the order of the hours; {'LATE'}.
local prefix = ARGV[1]
if is_late(now_us(''), ARGV[3]) then return { 'LATE' } end
-- Prefix of one principal's fields.
local mine = ARGV[7] == '1' and string.sub(cjson.encode({ ARGV[8] }), 1, -2) .. ',' or ''
local out, read = { 'OK' }, 0
for _, hour in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[4], ARGV[5], 'LIMIT', 0, ARGV[6])) do
  local fields = redis.call('HGETALL', prefix .. 'usage:' .. hour)
  local row = { hour }
  for i = 1, #fields, 2 do
    if mine == '' or string.sub(fields[i], 1, #mine) == mine then
      row[#row + 1] = fields[i]
      row[#row + 1] = fields[i + 1]
    end
  end
  out[#out + 1] = row
  read = read + #fields / 2
  if read > 20000 then break end
end
return out
