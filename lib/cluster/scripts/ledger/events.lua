-- needs ledger
--
-- Reads events of an account or of the whole journal, in order.
--
-- KEYS  ledger
-- ARGV  prefix, clock, deadline, account (empty: the journal), after (the id of an event; 0: from the
--       first on), limit
-- Returns {'OK', entry, entry, ...}; {'NONE'}, no such account; {'MORE'}, run it again; {'LATE'}.
local L = ledger_at(ARGV[1], now_us(ARGV[2]))
local account, after, limit = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
if is_late(now_us(''), ARGV[3]) then return { 'LATE' } end
if not ledger_advance(L) then return { 'MORE' } end

local function events_of_account()
  local list = L.prefix .. 'acctlog:' .. account
  local low, high = 0, redis.call('LLEN', list)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if tonumber(redis.call('LINDEX', list, middle)) > after then high = middle else low = middle + 1 end
  end
  return entries_of(L, redis.call('LRANGE', list, low, low + limit - 1))
end

local entries
if account == '' then
  entries = redis.call('XRANGE', L.journal, '(' .. text_of(after) .. '-0', '+', 'COUNT', limit)
elseif account_of(L, account) then
  entries = events_of_account()
else
  return { 'NONE' }
end
table.insert(entries, 1, 'OK')
return entries
