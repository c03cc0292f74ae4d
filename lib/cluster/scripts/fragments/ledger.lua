-- The ledger: accounts, holds, scheduled transfers and the journal. A fragment: functions only.
--
-- Amounts are decimal strings in the range of int64. HINCRBY adds them, and strings are compared by
-- sign, length and digits: a Lua number would round them. Types and codes are the numbers of
-- native/core/ledger/event.h, which defines the rules.
--
-- acct:<id>     hash: posted, available, held, overdraft (how far available may go below zero), closed
-- acctlog:<id>  list: ids of the account's events, increasing
-- accts         sorted set: names of accounts, in the order of their bytes
-- ledger        stream: the journal; the id of an event n is `n-0`
-- ledgerkeys    hash: key -> the event that answers it
-- ledgerdone    hash: event -> how it was undone, unless by its settlement or execution
-- holds         sorted set: active holds and scheduled transfers by when they are due; an id has 16 digits

local AMOUNT_MAX, AMOUNT_MIN = '9223372036854775807', '-9223372036854775808'
local EVENT = {
  OPEN = '0', DEPOSIT = '1', WITHDRAW = '2', TRANSFER = '3', HOLD = '4', SETTLE = '5', VOID = '6',
  REVERSE = '7', SCHEDULE = '8', CANCEL_SCHEDULED = '9', HOLD_EXPIRED = '10', SCHEDULE_FAILED = '11',
  REFUSED = '12', CLOSE = '13',
}
local CODE = {
  DONE = '0', INSUFFICIENT_FUNDS = '1', NO_SUCH_ACCOUNT = '2', NO_SUCH_EVENT = '3', NO_SUCH_HOLD = '4',
  NO_SUCH_SCHEDULED = '5', SAME_ACCOUNT = '7', HOLD_EXPIRED = '8', HOLD_CLOSED = '9',
  EXCEEDS_HOLD = '10', ALREADY_REVERSED = '11', NOT_REVERSIBLE = '12', ALREADY_EXECUTED = '13',
  ALREADY_CANCELLED = '14', OVERFLOW = '15', ACCOUNT_CLOSED = '17', NOT_EMPTY = '18', LINKED_FAILED = '19',
}
local EXTERNAL, USAGE = '@external', '@usage'
-- The amount of a settlement that means the whole hold.
local IN_FULL = '-1'
-- Maximum due events handled by one run of a script. The caller runs it again for the others.
local DUE_MAX = 1000
-- The fields of an entry of the journal. Each entry has all of them: equal names take no memory.
--   t type, a at (us), k key, f from (of OPEN and CLOSE the account), o to, m amount (of OPEN the
--   overdraft), r the event that it refers to, w timeout (us) of a hold or time of a scheduled transfer,
--   u when it is due (us), x JSON of rare fields, p posted and h held of the balance after it
-- Rare fields: c code, z the operation of a refusal, l the number of linked events that follow, g `1`
-- for a forced reversal, j metadata (JSON).
local EVENT_FIELDS = { 't', 'a', 'k', 'f', 'o', 'm', 'r', 'w', 'u', 'x', 'p', 'h' }

local function is_own_account(name)
  return string.sub(name, 1, 1) == '@'
end

local function negated(amount)
  if amount == '0' then return '0' end
  if string.sub(amount, 1, 1) == '-' then return string.sub(amount, 2) end
  return '-' .. amount
end

local function is_less(one, other)
  local one_negative, other_negative = string.sub(one, 1, 1) == '-', string.sub(other, 1, 1) == '-'
  if one_negative ~= other_negative then return one_negative end
  if one_negative then one, other = string.sub(other, 2), string.sub(one, 2) end
  if #one ~= #other then return #one < #other end
  return one < other
end

-- Adds to an amount. Returns whether the sum is in the range of int64; otherwise the addition has no effect.
local function add(key, field, amount)
  if amount == '0' then return true end
  local sum = redis.pcall('HINCRBY', key, field, amount)
  if type(sum) ~= 'table' or not sum.err then return true end
  if string.find(sum.err, 'overflow', 1, true) then return false end
  error(sum.err)
end

local function amount_of(key, field)
  return redis.call('HGET', key, field) or '0'
end

-- The state of a ledger for one run of a script, at a time in microseconds.
local function ledger_at(prefix, now)
  local L = { prefix = prefix, now = now, journal = prefix .. 'ledger', accounts = {} }
  L.keys, L.done, L.holds = prefix .. 'ledgerkeys', prefix .. 'ledgerdone', prefix .. 'holds'
  L.last, L.last_at = 0, 0
  local tail = redis.call('XREVRANGE', L.journal, '+', '-', 'COUNT', 1)[1]
  if tail then
    L.last = tonumber(string.match(tail[1], '^%d+'))
    for i = 1, #tail[2], 2 do
      if tail[2][i] == 'a' then L.last_at = tonumber(tail[2][i + 1]) end
    end
  end
  return L
end

local function account_key(L, name)
  return L.prefix .. 'acct:' .. name
end

-- The overdraft of an account, and whether it is closed; nil: no such account.
local function account_of(L, name)
  if name == EXTERNAL or name == USAGE then return AMOUNT_MAX, false end
  local known = L.accounts[name]
  if not known then
    local overdraft, closed = unpack(redis.call('HMGET', account_key(L, name), 'overdraft', 'closed'))
    if not overdraft then return nil end
    known = { overdraft = overdraft, is_closed = closed == '1' }
    L.accounts[name] = known
  end
  return known.overdraft, known.is_closed
end

local function event_of(entry)
  local event = { id = string.match(entry[1], '^%d+') }
  for i = 1, #entry[2], 2 do event[entry[2][i]] = entry[2][i + 1] end
  event.rare = event.x == '' and {} or cjson.decode(event.x)
  return event
end

local function find_event(L, id)
  local entry = redis.call('XRANGE', L.journal, id .. '-0', id .. '-0')[1]
  return entry and event_of(entry)
end

-- The posted and held amounts of an account; zero without an account.
local function balance_of(L, name)
  if not name then return '0', '0' end
  local posted, held = unpack(redis.call('HMGET', account_key(L, name), 'posted', 'held'))
  return posted or '0', held or '0'
end

-- Appends an event with the next number. Its time is never before that of the last event.
-- `shown`: the account whose balance it reports, unless it has an account.
local function append(L, event, at, shown)
  L.last = L.last + 1
  L.last_at = math.max(at, L.last_at)
  event.id, event.a = text_of(L.last), text_of(L.last_at)
  event.x = next(event.rare) and cjson.encode(event.rare) or ''
  if not event.p then event.p, event.h = balance_of(L, shown) end
  local entry = {}
  for _, name in ipairs(EVENT_FIELDS) do
    entry[#entry + 1] = name
    entry[#entry + 1] = event[name] or ''
  end
  redis.call('XADD', L.journal, event.id .. '-0', unpack(entry))
end

local function shown_account(event)
  return is_own_account(event.f) and event.o or event.f
end

-- The member of L.holds for an event: ids with the same time sort by number.
local function due_member(id)
  return string.format('%016.0f', tonumber(id))
end

-- Appends an event, and records it with its accounts and the event that it refers to.
local function commit(L, event, at, target)
  append(L, event, at, shown_account(event))
  redis.call('RPUSH', L.prefix .. 'acctlog:' .. event.f, event.id)
  local is_of_both = event.t ~= EVENT.HOLD and event.t ~= EVENT.VOID and event.t ~= EVENT.HOLD_EXPIRED
  if is_of_both and event.o ~= '' and event.o ~= event.f then
    redis.call('RPUSH', L.prefix .. 'acctlog:' .. event.o, event.id)
  end
  if target then
    redis.call('ZREM', L.holds, due_member(target.id))
    local undone = ({ [EVENT.HOLD_EXPIRED] = 'e', [EVENT.CANCEL_SCHEDULED] = 'c', [EVENT.REVERSE] = 'r' })[event.t]
    if undone then redis.call('HSET', L.done, target.id, undone) end
  end
  if event.t == EVENT.HOLD or event.t == EVENT.SCHEDULE then
    redis.call('ZADD', L.holds, event.u == '' and '+inf' or event.u, due_member(event.id))
  end
end

-- Opens an account. Returns its event; nil if the name is used.
local function open_account(L, name, overdraft, metadata)
  if account_of(L, name) then return nil end
  redis.call(
    'HSET', account_key(L, name), 'posted', '0', 'available', '0', 'held', '0', 'overdraft', overdraft
  )
  redis.call('ZADD', L.prefix .. 'accts', 0, EXTERNAL, 0, USAGE, 0, name)
  local event = { t = EVENT.OPEN, f = name, o = '', m = overdraft, rare = {} }
  if metadata ~= '' then event.rare.j = metadata end
  commit(L, event, L.now)
  return event
end

-- Takes an amount from the available balance of an account, or returns the reason of a refusal.
local function take_available(key, overdraft, amount, is_forced)
  if add(key, 'available', negated(amount)) then
    local left = amount_of(key, 'available')
    local fits = left ~= AMOUNT_MIN and (is_forced or not is_less(left, negated(overdraft)))
    if fits then return CODE.DONE end
    add(key, 'available', amount)
  end
  local is_limited = overdraft ~= AMOUNT_MAX and not is_forced
  return is_limited and CODE.INSUFFICIENT_FUNDS or CODE.OVERFLOW
end

-- Moves an amount from one account to another, or returns the reason of a refusal.
local function move(L, from, overdraft, to, amount, is_forced)
  local payer, payee = account_key(L, from), account_key(L, to)
  local code = take_available(payer, overdraft, amount, is_forced)
  if code ~= CODE.DONE then return code end
  if not add(payee, 'posted', amount) then
    add(payer, 'available', amount)
    return CODE.OVERFLOW
  end
  -- The available amount is at most the posted amount, which keeps both in range.
  add(payee, 'available', amount)
  add(payer, 'posted', negated(amount))
  return CODE.DONE
end

local function move_back(L, from, to, amount)
  for name, sum in pairs({ [from] = amount, [to] = negated(amount) }) do
    add(account_key(L, name), 'posted', sum)
    add(account_key(L, name), 'available', sum)
  end
end

local function hold_amount(L, account, overdraft, amount)
  local key = account_key(L, account)
  local code = take_available(key, overdraft, amount, false)
  if code == CODE.DONE and not add(key, 'held', amount) then
    add(key, 'available', amount)
    return CODE.OVERFLOW
  end
  return code
end

-- Ends a hold: moves an amount of it, at most all, to USAGE.
local function release_held(L, hold, amount)
  local key, used = account_key(L, hold.f), account_key(L, USAGE)
  if not add(used, 'posted', amount) then return CODE.OVERFLOW end
  add(used, 'available', amount)
  add(key, 'held', negated(hold.m))
  add(key, 'available', hold.m)
  add(key, 'available', negated(amount))
  add(key, 'posted', negated(amount))
  return CODE.DONE
end

-- The reason why the event cannot be settled, voided, executed, cancelled or reversed again; nil: it can.
local function code_of_done(L, target)
  local undone = redis.call('HGET', L.done, target.id)
  if target.t ~= EVENT.HOLD and target.t ~= EVENT.SCHEDULE then
    return undone and CODE.ALREADY_REVERSED or nil
  end
  if redis.call('ZSCORE', L.holds, due_member(target.id)) then return nil end
  if target.t == EVENT.HOLD then return undone and CODE.HOLD_EXPIRED or CODE.HOLD_CLOSED end
  return undone and CODE.ALREADY_CANCELLED or CODE.ALREADY_EXECUTED
end

local IS_REVERSIBLE = {
  [EVENT.DEPOSIT] = true, [EVENT.WITHDRAW] = true, [EVENT.TRANSFER] = true, [EVENT.SETTLE] = true,
}
-- Types of requests that refer to an event.
local HAS_TARGET = {
  [EVENT.SETTLE] = true, [EVENT.VOID] = true, [EVENT.REVERSE] = true, [EVENT.CANCEL_SCHEDULED] = true,
}
-- Types allowed on a closed account: they end a hold or a scheduled transfer.
local ENDS_ONE = {
  [EVENT.SETTLE] = true, [EVENT.VOID] = true, [EVENT.HOLD_EXPIRED] = true, [EVENT.CANCEL_SCHEDULED] = true,
}

-- Completes an event from the one that it refers to. Returns the latter, and DONE or the reason of a refusal.
local function locate_target(L, event)
  local target = find_event(L, event.r)
  if event.t == EVENT.REVERSE then
    if not target then return nil, CODE.NO_SUCH_EVENT end
    if not IS_REVERSIBLE[target.t] then return nil, CODE.NOT_REVERSIBLE end
    event.f, event.o = target.o, target.f
  else
    local wanted = event.t == EVENT.CANCEL_SCHEDULED and EVENT.SCHEDULE or EVENT.HOLD
    if not target or target.t ~= wanted then
      return nil, wanted == EVENT.HOLD and CODE.NO_SUCH_HOLD or CODE.NO_SUCH_SCHEDULED
    end
    event.f, event.o = target.f, target.o
  end
  if event.t ~= EVENT.SETTLE or event.m == IN_FULL then event.m = target.m end
  return target, CODE.DONE
end

-- The event that a request refers to, if any, and DONE or the reason why it or the account is missing.
local function locate(L, event)
  local target, code
  if HAS_TARGET[event.t] then
    target, code = locate_target(L, event)
    if code ~= CODE.DONE then return nil, code end
  elseif event.t ~= EVENT.CLOSE and event.f == event.o then
    return nil, CODE.SAME_ACCOUNT
  end
  local exists = account_of(L, event.f) and (event.t == EVENT.CLOSE or account_of(L, event.o))
  return target, exists and CODE.DONE or CODE.NO_SUCH_ACCOUNT
end

-- Makes the changes of an event, or returns the reason of a refusal.
local function apply(L, event, target)
  if target then
    local code = code_of_done(L, target)
    if code then return code end
  end
  local overdraft, is_closed = account_of(L, event.f)
  if not ENDS_ONE[event.t] then
    local _, is_payee_closed = account_of(L, event.o)
    if is_closed or is_payee_closed then return CODE.ACCOUNT_CLOSED end
  end
  if event.t == EVENT.CLOSE then
    local key = account_key(L, event.f)
    local posted, held = unpack(redis.call('HMGET', key, 'posted', 'held'))
    if posted ~= '0' or held ~= '0' then return CODE.NOT_EMPTY end
    redis.call('HSET', key, 'closed', '1')
    L.accounts[event.f].is_closed = true
    return CODE.DONE
  end
  if event.t == EVENT.HOLD then return hold_amount(L, event.f, overdraft, event.m) end
  if event.t == EVENT.SETTLE and is_less(target.m, event.m) then return CODE.EXCEEDS_HOLD end
  if event.t == EVENT.SETTLE then return release_held(L, target, event.m) end
  if event.t == EVENT.VOID or event.t == EVENT.HOLD_EXPIRED then return release_held(L, target, '0') end
  if event.t == EVENT.SCHEDULE or event.t == EVENT.CANCEL_SCHEDULED then return CODE.DONE end
  return move(L, event.f, overdraft, event.o, event.m, event.rare.g == '1')
end

-- Expires holds and executes scheduled transfers that are due. Returns false if more are due.
local function ledger_advance(L)
  for _ = 1, DUE_MAX do
    local due = redis.call('ZRANGEBYSCORE', L.holds, '-inf', text_of(L.now), 'LIMIT', 0, 1)[1]
    if not due then return true end
    local target = find_event(L, text_of(tonumber(due)))
    local kind = target.t == EVENT.HOLD and EVENT.HOLD_EXPIRED or EVENT.TRANSFER
    local event = { t = kind, r = target.id, f = target.f, o = target.o, m = target.m, rare = {} }
    local code = apply(L, event, target)
    if code ~= CODE.DONE then event.t, event.rare.c = EVENT.SCHEDULE_FAILED, code end
    commit(L, event, tonumber(target.u), target)
  end
  return redis.call('ZCOUNT', L.holds, '-inf', text_of(L.now)) == 0
end

-- Makes the event of a request, before its outcome is known. A request has the fields t, k, f, o, m, r, w, g
-- and j, like events.
local function draft_of(request, now)
  local event = { rare = {}, u = '' }
  for _, name in ipairs({ 't', 'k', 'f', 'o', 'm', 'r', 'w' }) do event[name] = request[name] or '' end
  if request.g == '1' then event.rare.g = '1' end
  if request.j and request.j ~= '' then event.rare.j = request.j end
  if event.t == EVENT.HOLD and event.w ~= '' then event.u = text_of(now + tonumber(event.w)) end
  if event.t == EVENT.SCHEDULE then event.u = event.w end
  return event
end

-- Appends the refusal of a request. `shown`: the account whose balance it reports, if any.
local function refuse(L, request, code, shown, linked)
  local event = draft_of(request, L.now)
  event.rare.c, event.rare.z, event.t, event.u = code, event.t, EVENT.REFUSED, ''
  if linked and linked > 0 then event.rare.l = text_of(linked) end
  append(L, event, L.now, shown)
  return event
end

-- Whether an event matches a request.
local function is_same(request, event)
  local operation = event.t == EVENT.REFUSED and event.rare.z or event.t
  if operation ~= request.t or (request.j or '') ~= (event.rare.j or '') then return false end
  if operation == EVENT.VOID or operation == EVENT.CANCEL_SCHEDULED then return request.r == event.r end
  if operation == EVENT.SETTLE then return request.r == event.r and request.m == event.m end
  if operation == EVENT.REVERSE then
    return request.r == event.r and (request.g == '1') == (event.rare.g == '1')
  end
  return request.f == event.f and (request.o or '') == event.o and (request.m or '') == event.m
    and (request.w or '') == event.w
end

-- Whether an event matches a request; a settlement in full also matches the amount of its hold.
local function is_answer(L, request, event)
  if event.rare.l then return false end
  if is_same(request, event) then return true end
  if request.t ~= EVENT.SETTLE or request.m ~= IN_FULL then return false end
  local hold = find_event(L, request.r)
  if not hold or hold.t ~= EVENT.HOLD then return false end
  return is_same({ t = EVENT.SETTLE, r = request.r, m = hold.m, j = request.j }, event)
end

-- Executes a request, which has a new key or none. Returns its event.
local function perform(L, request)
  local event = draft_of(request, L.now)
  local target, code = locate(L, event)
  if code ~= CODE.DONE then return refuse(L, request, code) end
  code = apply(L, event, target)
  if code ~= CODE.DONE then return refuse(L, request, code, shown_account(event)) end
  commit(L, event, L.now, target)
  return event
end

-- An event as the flat fields of an entry, with its id in front.
local function flat_event(event)
  local out = { event.id }
  for _, name in ipairs(EVENT_FIELDS) do
    out[#out + 1] = name
    out[#out + 1] = event[name] or ''
  end
  return out
end

-- The events with these ids, in the format of XRANGE.
local function entries_of(L, ids)
  local entries = {}
  for i, id in ipairs(ids) do
    entries[i] = redis.call('XRANGE', L.journal, id .. '-0', id .. '-0')[1]
  end
  return entries
end

-- Opens the accounts of a JSON list [[name, overdraft], ...] unless they are open.
local function open_accounts(L, json)
  if json == '' then return end
  for _, each in ipairs(cjson.decode(json)) do open_account(L, each[1], each[2], '') end
end
