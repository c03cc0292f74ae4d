-- needs audit
-- Replaces an entry if it has not changed since it was read.
--
-- KEYS  auditorder
-- ARGV  prefix, token, former (JSON as it was read), actor, about, entry (JSON)
-- Returns 1; 0, the entry has changed or was removed.
local prefix, token = ARGV[1], ARGV[2]
local found = audit_find(prefix, token)
if not found or found.entry ~= ARGV[3] then return 0 end
audit_unindex(prefix, token, found)
audit_store(prefix, token, { id = found.id, actor = ARGV[4], about = ARGV[5], entry = ARGV[6] })
return 1
