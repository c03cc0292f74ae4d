-- needs ledger
--
-- Renames an account, also in all events; erases their keys and metadata; amounts stay. An
-- entry of a stream cannot change: the journal is copied in pages, and the copy takes its place. A copy that was
-- begun before another copy took its place starts over.
--
-- KEYS  ledger, ledgercopy:<token>
-- ARGV  prefix, clock, deadline, account, name, limit (of entries), copy_ttl_ms (of an incomplete copy)
-- Returns {'OK'}; {'MORE'}, run it again; {'LATE'}.
local prefix, account, name, limit = ARGV[1], ARGV[4], ARGV[5], tonumber(ARGV[6])
local journal, copy = KEYS[1], KEYS[2]
if is_late(now_us(''), ARGV[3]) then return { 'LATE' } end

local keys = prefix .. 'ledgerkeys'

local function erase(event)
  if event.f == account then event.f = name end
  if event.o == account then event.o = name end
  event.rare.j = nil
  event.x = next(event.rare) and cjson.encode(event.rare) or ''
  if event.k == '' then return end
  if redis.call('HGET', keys, event.k) == event.id then redis.call('HDEL', keys, event.k) end
  event.k = '@erased:' .. event.id
  while redis.call('HSETNX', keys, event.k, event.id) == 0
    and redis.call('HGET', keys, event.k) ~= event.id do
    event.k = event.k .. '+'
  end
end

local changes = redis.call('GET', prefix .. 'ledgerrenames') or '0'
if redis.call('GET', copy .. ':of') ~= changes then
  redis.call('DEL', copy)
  redis.call('SET', copy .. ':of', changes)
end
redis.call('PEXPIRE', copy .. ':of', ARGV[7])

local copied = redis.call('XREVRANGE', copy, '+', '-', 'COUNT', 1)[1]
local entries = redis.call('XRANGE', journal, '(' .. (copied and copied[1] or '0-0'), '+', 'COUNT', limit)
for _, entry in ipairs(entries) do
  local fields = entry[2]
  local event = event_of(entry)
  if event.f == account or event.o == account then
    erase(event)
    fields = {}
    for _, each in ipairs(EVENT_FIELDS) do
      fields[#fields + 1] = each
      fields[#fields + 1] = event[each]
    end
  end
  redis.call('XADD', copy, entry[1], unpack(fields))
end
if #entries == limit then
  redis.call('PEXPIRE', copy, ARGV[7])
  return { 'MORE' }
end
if redis.call('EXISTS', copy) == 1 then
  redis.call('PERSIST', copy)
  redis.call('RENAME', copy, journal)
  redis.call('INCR', prefix .. 'ledgerrenames')
end
redis.call('DEL', copy .. ':of')
for _, key in ipairs({ 'acct:', 'acctlog:' }) do
  local own = prefix .. key .. account
  if redis.call('EXISTS', own) == 1 then redis.call('RENAME', own, prefix .. key .. name) end
end
if redis.call('ZREM', prefix .. 'accts', account) == 1 then
  redis.call('ZADD', prefix .. 'accts', 0, name)
end
return { 'OK' }
