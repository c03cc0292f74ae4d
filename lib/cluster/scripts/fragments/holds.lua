-- needs ledger
--
-- Credit held and paid by a job, or by a call charged like a job: a part of jobs, see parts.lua.
-- Its holds and settlements have the keys `@hold:<id>` and `@settle:<id>`; those of jobs are not kept
-- in ledgerkeys, since the job's own script runs once.

-- Timeout of the hold for the amount beyond a hold, which is settled at once.
local BEYOND_US = '60000000'

local function ledger_of(prefix, context)
  if not context.ledger then
    context.ledger = ledger_at(prefix, context.now)
    context.has_more_due = not ledger_advance(context.ledger)
  end
  return context.ledger
end

-- `asked`: {account, overdraft (of an account that is not open), amount, timeout (us)}. A refusal has
-- `closed`, or `more` if due holds must expire first, or posted, held and overdraft.
local function hold_check(prefix, asked, context)
  local L = ledger_of(prefix, context)
  local overdraft, is_closed = account_of(L, asked.account)
  if is_closed then return { closed = '1' } end
  if not overdraft then
    if not is_less(asked.overdraft, asked.amount) then return nil end
    return { posted = '0', held = '0', overdraft = asked.overdraft }
  end
  if hold_amount(L, asked.account, overdraft, asked.amount) == CODE.DONE then
    local key = account_key(L, asked.account)
    add(key, 'held', negated(asked.amount))
    add(key, 'available', asked.amount)
    return nil
  end
  if context.has_more_due then return { more = '1' } end
  local posted, held = balance_of(L, asked.account)
  return { posted = posted, held = held, overdraft = overdraft }
end

-- Requires hold_check. Returns the id of the hold's event as the held resource.
local function hold_take(prefix, asked, context)
  local L = ledger_of(prefix, context)
  open_account(L, asked.account, asked.overdraft, '')
  local event = perform(L, {
    t = EVENT.HOLD, k = '@hold:' .. context.id, f = asked.account, o = USAGE, m = asked.amount,
    w = asked.timeout,
  })
  return event.id, event.id
end

-- The hold of a job; nil if the event belongs to another ledger.
local function find_hold(L, held, id)
  local hold = find_event(L, held)
  if hold and hold.t == EVENT.HOLD and hold.k == '@hold:' .. id then return hold end
end

local function hold_release(prefix, held, context)
  local L = ledger_of(prefix, context)
  local hold = find_hold(L, held, context.id)
  if not hold or code_of_done(L, hold) then return end
  perform(L, { t = EVENT.VOID, k = '@void:' .. context.id .. ':' .. held, r = held })
end

-- Ends a hold whose process is gone as if its time were over: a settlement that still comes charges the account.
local function hold_expire(prefix, held, context)
  local L = ledger_of(prefix, context)
  local hold = find_hold(L, held, context.id)
  if not hold or code_of_done(L, hold) then return end
  local event = { t = EVENT.HOLD_EXPIRED, r = hold.id, f = hold.f, o = hold.o, m = hold.m, rare = {} }
  if apply(L, event, hold) == CODE.DONE then commit(L, event, L.now, hold) end
end

-- The part of an amount that an account can pay.
local function payable(L, account, overdraft, amount)
  local key = account_key(L, account)
  redis.call('HSET', key, 'room', amount_of(key, 'available'))
  local room = add(key, 'room', overdraft) and amount_of(key, 'room') or AMOUNT_MAX
  redis.call('HDEL', key, 'room')
  if is_less(room, '0') then return '0' end
  return is_less(room, amount) and room or amount
end

-- Takes an amount beyond the hold, as far as the account's limit allows. Returns the amount taken.
local function charge_beyond(L, settlement, amount, id)
  open_account(L, settlement.account, settlement.overdraft, '')
  local overdraft, is_closed = account_of(L, settlement.account)
  local payable_now = is_closed and '0' or payable(L, settlement.account, overdraft, amount)
  if payable_now == '0' then return '0' end
  local hold = perform(L, {
    t = EVENT.HOLD, k = '@hold:' .. id .. ':rest', f = settlement.account, o = USAGE, m = payable_now,
    w = BEYOND_US,
  })
  if hold.t == EVENT.REFUSED then return '0' end
  perform(L, { t = EVENT.SETTLE, k = '@settle:' .. id .. ':rest', r = hold.id, m = payable_now })
  return payable_now
end

-- `settlement`: {account, overdraft, cost, amount (part of the cost, at most the held amount), rest (the other
-- part of it), nothing (`1`: no amount was held)}. Without one the hold stays, and expires. Returns the amounts
-- paid from the hold and beyond it; nil: nothing had to be paid.
local function settle_hold(prefix, held, settlement, context)
  if not settlement then return nil end
  local L = ledger_of(prefix, context)
  local paid, beyond = '0', settlement.cost
  if held then
    local hold = find_hold(L, held, context.id)
    if not hold then return nil end
    local code = code_of_done(L, hold)
    if code and code ~= CODE.HOLD_EXPIRED then return nil end
    if not code then
      perform(L, { t = EVENT.SETTLE, k = '@settle:' .. context.id, r = held, m = settlement.amount })
      paid, beyond = settlement.amount, settlement.rest
    end
  elseif settlement.nothing ~= '1' then
    return nil
  end
  if beyond == '0' then return paid, '0' end
  return paid, charge_beyond(L, settlement, beyond, context.id)
end

-- The field `billed` of a job has the amount paid if this may be less than its cost. A settlement with
-- `later` is a debt of the job until another call settles it.
local function hold_settle(prefix, held, settlement, context)
  if settlement and settlement.later then
    settlement.later = nil
    context.owed = context.owed or {}
    context.owed.hold, context.owed.settlement = held or nil, settlement
    return
  end
  local paid, beyond = settle_hold(prefix, held, settlement, context)
  local job = prefix .. 'job:' .. context.id
  if paid and paid ~= settlement.cost then redis.call('HSET', job, 'billed', paid .. ' ' .. beyond) end
end
