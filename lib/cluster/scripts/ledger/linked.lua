-- needs ledger
--
-- Makes deposits, withdrawals and transfers in order, all of them or none, once per key. Each sees
-- the balances after the previous ones. Repeating it returns the same answer.
--
-- KEYS  ledger
-- ARGV  prefix, clock, deadline, accounts to open first (as in execute.lua), key, then from (empty for
--       a deposit), to (empty for a withdrawal), amount and metadata of each
-- Returns {'OK', known (`1`, `0`), event, event, ...}; {'CONFLICT'}; {'MORE'}; {'LATE'}.
local L = ledger_at(ARGV[1], now_us(ARGV[2]))
if is_late(now_us(''), ARGV[3]) then return { 'LATE' } end
if not ledger_advance(L) then return { 'MORE' } end

local key, requests = ARGV[5], {}
for i = 6, #ARGV, 4 do
  local kind = ARGV[i] == '' and EVENT.DEPOSIT or ARGV[i + 1] == '' and EVENT.WITHDRAW or EVENT.TRANSFER
  requests[#requests + 1] = {
    t = kind, k = i == 6 and key or '', f = ARGV[i] == '' and EXTERNAL or ARGV[i],
    o = ARGV[i + 1] == '' and EXTERNAL or ARGV[i + 1], m = ARGV[i + 2], j = ARGV[i + 3],
  }
end
open_accounts(L, ARGV[4])

local function known_answer(first)
  local out = { 'OK', '1' }
  for i, request in ipairs(requests) do
    local event = find_event(L, text_of(first + i - 1))
    if i == 1 and tonumber(event.rare.l or '0') + 1 ~= #requests then return { 'CONFLICT' } end
    if not is_same(request, event) then return { 'CONFLICT' } end
    out[#out + 1] = flat_event(event)
  end
  return out
end

local function refuse_all(failed, code, have_parties)
  local out = { 'OK', '0' }
  for i, request in ipairs(requests) do
    local shown = have_parties and shown_account(request) or nil
    local own_code = i == failed and code or CODE.LINKED_FAILED
    out[#out + 1] = flat_event(refuse(L, request, own_code, shown, #requests - i))
  end
  return out
end

local function perform_all()
  local events = {}
  for i, request in ipairs(requests) do
    events[i] = draft_of(request, L.now)
    local _, code = locate(L, events[i])
    if code ~= CODE.DONE then return refuse_all(i, code, false) end
  end
  for i, event in ipairs(events) do
    local code = apply(L, event)
    if code ~= CODE.DONE then
      for j = i - 1, 1, -1 do move_back(L, events[j].f, events[j].o, events[j].m) end
      return refuse_all(i, code, true)
    end
    event.p, event.h = balance_of(L, shown_account(event))
  end
  local out = { 'OK', '0' }
  for i, event in ipairs(events) do
    if i < #events then event.rare.l = text_of(#events - i) end
    commit(L, event, L.now)
    out[#out + 1] = flat_event(event)
  end
  return out
end

local known = redis.call('HGET', L.keys, key)
if known then return known_answer(tonumber(known)) end
local out = perform_all()
redis.call('HSET', L.keys, key, out[3][1])
return out
