-- The faces' entries about jobs of a principal: `chat:<hash>` and `orphan:<hash>`, whose names do not contain the
-- principal. `faces:<principal>` has these names by expiry time, for the erasure of a principal.

local function faces_note(prefix, principal, key, ttl_ms)
  local index, now_ms = prefix .. 'faces:' .. principal, math.floor(now_us('') / 1000)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', text_of(now_ms))
  redis.call('ZADD', index, text_of(now_ms + tonumber(ttl_ms)), string.sub(key, #prefix + 1))
  if redis.call('PTTL', index) < tonumber(ttl_ms) then redis.call('PEXPIRE', index, ttl_ms) end
end
