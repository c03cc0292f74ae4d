-- needs ledger
--
-- Executes a request of the ledger, once per key. Repeating it returns the same answer.
--
-- KEYS  ledger
-- ARGV  prefix, clock, deadline, accounts to open first (JSON [[name, overdraft], ...]; empty for none),
--       then fields of the request and their values, as in `draft_of`
-- Returns {'OK', known (`1`, `0`), event}; {'CONFLICT'}, the key belongs to another request; {'MORE'}, to
-- be run again, because more was due than one run handles; {'LATE'}.
local L = ledger_at(ARGV[1], now_us(ARGV[2]))
if is_late(now_us(''), ARGV[3]) then return { 'LATE' } end
if not ledger_advance(L) then return { 'MORE' } end

local request = {}
for i = 5, #ARGV, 2 do request[ARGV[i]] = ARGV[i + 1] end
open_accounts(L, ARGV[4])
local known = redis.call('HGET', L.keys, request.k)
if known then
  local event = find_event(L, known)
  if not is_answer(L, request, event) then return { 'CONFLICT' } end
  return { 'OK', '1', flat_event(event) }
end
local event = perform(L, request)
redis.call('HSET', L.keys, request.k, event.id)
-- A scheduled transfer may be due already.
ledger_advance(L)
return { 'OK', '0', flat_event(event) }
