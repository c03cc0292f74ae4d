-- needs keys
--
-- Looks up an idempotency key.
--
-- KEYS  idem:<sha256>
-- ARGV  prefix, fingerprint
-- Returns see `key_answer`; {'NEW'}.
return key_answer(ARGV[1], KEYS[1], ARGV[2]) or { 'NEW' }
