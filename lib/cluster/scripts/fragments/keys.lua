-- Idempotency keys: `idem:<sha256>` has the fingerprint of the request, the id of its job, and its answer once the
-- job has a place.

-- The answer to a request with a used key: {'KNOWN', id, answer}; {'PENDING', id}, the outcome is not known
-- yet; {'REUSED'}, the key has another fingerprint; nil: the key is new.
local function key_answer(prefix, key, fingerprint)
  local used_fingerprint, id, answer = unpack(redis.call('HMGET', key, 'fingerprint', 'job', 'answer'))
  if not id then return nil end
  -- A missing job without an answer never had a place.
  if not answer and redis.call('EXISTS', prefix .. 'job:' .. id) == 0 then return nil end
  if used_fingerprint ~= fingerprint then return { 'REUSED' } end
  if answer then return { 'KNOWN', id, answer } end
  return { 'PENDING', id }
end
