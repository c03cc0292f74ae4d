-- needs keys
--
-- Looks an idempotency key up.
--
-- KEYS  idem:<sha256>
-- ARGV  prefix, fingerprint
-- Answers as `key_answer`; {'NEW'}.
return key_answer(ARGV[1], KEYS[1], ARGV[2]) or { 'NEW' }
