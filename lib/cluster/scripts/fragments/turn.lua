-- needs conversations
--
-- The turn of a conversation as a part of its job. It asks for {conversation, count (of the
-- messages sent with the job), asked (messages as JSON), bytes (of them), of_principal, total
-- (bytes that all may have)}, numbers as strings; or {refused = '1'}, if the process already
-- refuses it. A refusal is {word, ...}: `GONE`; `BUSY`, job; `CHANGED`, the job was sent with too few
-- messages; `FULL`, limit; `REFUSED`.

local function turn_check(prefix, asked, context)
  if asked.refused then return { word = 'REFUSED' } end
  local conv = conv_load(prefix, asked.conversation, context.principal, context)
  if not conv then return { word = 'GONE' } end
  if conv.job then return { word = 'BUSY', job = conv.job } end
  if conv.count ~= tonumber(asked.count) then return { word = 'CHANGED' } end
  local limits = { of_principal = tonumber(asked.of_principal), total = tonumber(asked.total) }
  local full = conv_full(prefix, context.principal, tonumber(asked.bytes), limits, context)
  if full then return { word = 'FULL', limit = full } end
end

local function turn_take(prefix, asked, context)
  local id, messages = asked.conversation, {}
  local conv = conv_load(prefix, id, context.principal, context)
  for i, message in ipairs(asked.asked) do messages[i] = conv_dated(message, context) end
  redis.call('HSET', conv_key(prefix, id), 'job', context.id, 'asked', cjson.encode(messages))
  conv.job, conv.asked_bytes = context.id, tonumber(asked.bytes)
  conv_write(prefix, id, conv, context)
  return { conversation = id }, '1'
end

-- `settlement` has the answer as JSON; without it nothing is added.
local function turn_settle(prefix, held, settlement, context)
  local conv = held and conv_load(prefix, held.conversation, context.principal, context)
  if not conv or conv.job ~= context.id then return end
  conv_end_turn(prefix, held.conversation, conv, settlement and settlement.answer, context)
end

local function turn_release(prefix, held, context)
  turn_settle(prefix, held, nil, context)
end
