-- needs audit
-- Adds an entry, or completes it. Repeating it with the same token changes nothing.
--
-- KEYS  auditorder
-- ARGV  prefix, token, former (its JSON as last written; empty: a new entry), actor, about, entry (JSON), number of
--       entries to keep
-- Returns the number of entries dropped to make room; -1: the entry no longer exists.
local prefix, token, former = ARGV[1], ARGV[2], ARGV[3]
-- Maximum entries dropped by one call: after the bound was lowered, later calls drop the others.
local DROPPED_MAX = 100
local found = audit_find(prefix, token)
if not found and former ~= '' then return -1 end

local entry = ARGV[6]
local next = { actor = ARGV[4], about = ARGV[5], entry = entry }
if found and found.entry == entry then return 0 end
if found then
  next.id = found.id
  if former ~= '' and former ~= found.entry then
    -- Names in it were erased meanwhile: change only its outcome.
    local kept, update = cjson.decode(found.entry), cjson.decode(entry)
    kept.outcome, kept.status, kept.code = update.outcome, update.status, update.code
    next.actor, next.about, next.entry = found.actor, found.about, cjson.encode(kept)
  end
  audit_unindex(prefix, token, found)
else
  next.id = string.format('%015.0f', redis.call('INCR', prefix .. 'auditlast'))
end
audit_store(prefix, token, next)
local dropped = 0
while dropped < DROPPED_MAX and redis.call('ZCARD', KEYS[1]) > tonumber(ARGV[7]) do
  audit_drop(prefix)
  dropped = dropped + 1
end
return dropped
