-- needs ledger
--
-- Reads the balance of an account.
--
-- KEYS  ledger
-- ARGV  prefix, clock, deadline, account
-- Returns {'OK', posted, held, overdraft, closed (`1`, `0`)}; {'NONE'}, no such account; {'MORE'}, to be
-- run again; {'LATE'}.
local L = ledger_at(ARGV[1], now_us(ARGV[2]))
if is_late(now_us(''), ARGV[3]) then return { 'LATE' } end
if not ledger_advance(L) then return { 'MORE' } end
local overdraft, is_closed = account_of(L, ARGV[4])
if not overdraft then return { 'NONE' } end
local posted, held = balance_of(L, ARGV[4])
return { 'OK', posted, held, overdraft, is_closed and '1' or '0' }
