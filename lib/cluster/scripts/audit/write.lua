-- needs audit
-- Adds an entry, or completes it. Again with the same token: the same entry.
--
-- KEYS  auditorder
-- ARGV  prefix, token, former (its JSON as it was written last; empty: it is new), actor, about, entry (JSON), how many
--       entries are kept
-- Answers the number of entries that were dropped for it; -1: it is there no more.
local prefix, token, former = ARGV[1], ARGV[2], ARGV[3]
local found = audit_find(prefix, token)
if not found and former ~= '' then return -1 end

local entry = ARGV[6]
local next = { actor = ARGV[4], about = ARGV[5], entry = entry }
if found and found.entry == entry then return 0 end
if found then
  next.id = found.id
  if former ~= '' and former ~= found.entry then
    -- Names in it were erased meanwhile: only its outcome is new.
    local kept, told = cjson.decode(found.entry), cjson.decode(entry)
    kept.outcome, kept.status, kept.code = told.outcome, told.status, told.code
    next.actor, next.about, next.entry = found.actor, found.about, cjson.encode(kept)
  end
  audit_unindex(prefix, token, found)
else
  next.id = string.format('%015.0f', redis.call('INCR', prefix .. 'auditlast'))
end
audit_store(prefix, token, next)
local dropped = 0
while redis.call('ZCARD', KEYS[1]) > tonumber(ARGV[7]) do
  audit_drop(prefix)
  dropped = dropped + 1
end
return dropped
