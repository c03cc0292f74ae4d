-- needs ledger
--
-- Opens an account.
--
-- KEYS  ledger
-- ARGV  prefix, clock, deadline, account, overdraft, metadata (JSON, empty for none)
-- Returns {'OK', event}; {'EXISTS'}; {'MORE'}, run it again; {'LATE'}.
local L = ledger_at(ARGV[1], now_us(ARGV[2]))
if is_late(now_us(''), ARGV[3]) then return { 'LATE' } end
if not ledger_advance(L) then return { 'MORE' } end
local event = open_account(L, ARGV[4], ARGV[5], ARGV[6])
if not event then return { 'EXISTS' } end
return { 'OK', flat_event(event) }
