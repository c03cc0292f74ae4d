-- The audit log: a hash `audit:<token>` for each entry, with its id, actor (empty: the process itself), about (the
-- target's name for a look-up; empty: none) and entry (JSON without the id). `auditorder` has the tokens by the
-- number of their ids, `audit:of:<actor>` those of one actor, `auditactors` the actors by the number of their
-- entries, and `audit:about:<about>` the tokens of one target. `auditlast` is the last number.

local function audit_key(prefix, token) return prefix .. 'audit:' .. token end

local function audit_count(prefix, actor, change)
  local count = redis.call('ZINCRBY', prefix .. 'auditactors', change, actor)
  if tonumber(count) <= 0 then redis.call('ZREM', prefix .. 'auditactors', actor) end
end

-- The index names of an entry; nil: the entry does not exist.
local function audit_find(prefix, token)
  local id, actor, about, entry =
    unpack(redis.call('HMGET', audit_key(prefix, token), 'id', 'actor', 'about', 'entry'))
  return id and { id = id, actor = actor, about = about, entry = entry } or nil
end

local function audit_index(prefix, token, found)
  redis.call('ZADD', prefix .. 'audit:of:' .. found.actor, tonumber(found.id), token)
  audit_count(prefix, found.actor, 1)
  if found.about ~= '' then redis.call('SADD', prefix .. 'audit:about:' .. found.about, token) end
end

local function audit_unindex(prefix, token, found)
  redis.call('ZREM', prefix .. 'audit:of:' .. found.actor, token)
  audit_count(prefix, found.actor, -1)
  if found.about ~= '' then redis.call('SREM', prefix .. 'audit:about:' .. found.about, token) end
end

-- Writes a new or changed entry.
local function audit_store(prefix, token, found)
  redis.call(
    'HSET', audit_key(prefix, token), 'id', found.id, 'actor', found.actor, 'about', found.about,
    'entry', found.entry
  )
  redis.call('ZADD', prefix .. 'auditorder', tonumber(found.id), token)
  audit_index(prefix, token, found)
end

-- Drops the oldest entry of the actor with the most entries.
local function audit_drop(prefix)
  local actor = redis.call('ZREVRANGE', prefix .. 'auditactors', 0, 0)[1]
  local token = redis.call('ZRANGE', prefix .. 'audit:of:' .. actor, 0, 0)[1]
  audit_unindex(prefix, token, audit_find(prefix, token))
  redis.call('ZREM', prefix .. 'auditorder', token)
  redis.call('DEL', audit_key(prefix, token))
end
