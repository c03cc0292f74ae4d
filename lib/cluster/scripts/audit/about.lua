-- needs audit
-- Entries about one target.
--
-- KEYS  audit:about:<about>
-- ARGV  prefix
-- Returns {token, id, entry} of each.
local all = {}
for _, token in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local found = audit_find(ARGV[1], token)
  if found then all[#all + 1] = { token, found.id, found.entry } end
end
return all
