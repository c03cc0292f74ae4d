-- needs audit
-- Entries, newest first.
--
-- KEYS  auditorder
-- ARGV  prefix, number (only entries before it; empty: all), maximum count
-- Returns {token, id, entry} of each.
local prefix, before = ARGV[1], ARGV[2]
local from = before == '' and '+inf' or '(' .. before
local page = {}
for _, token in ipairs(redis.call('ZREVRANGEBYSCORE', KEYS[1], from, '-inf', 'LIMIT', 0, ARGV[3])) do
  local found = audit_find(prefix, token)
  if found then page[#page + 1] = { token, found.id, found.entry } end
end
return page
