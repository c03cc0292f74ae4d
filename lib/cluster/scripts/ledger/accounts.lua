-- Names of accounts, in the order of their bytes.
--
-- KEYS  accts
-- ARGV  prefix, clock, deadline, after (a name; empty: from the first), limit
-- Returns {'OK', name, name, ...}; {'LATE'}.
if is_late(now_us(''), ARGV[3]) then return { 'LATE' } end
local from = ARGV[4] == '' and '-' or '(' .. ARGV[4]
local names = redis.call('ZRANGEBYLEX', KEYS[1], from, '+', 'LIMIT', 0, ARGV[5])
table.insert(names, 1, 'OK')
return names
