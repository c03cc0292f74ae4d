-- needs quota, usage
-- loads turn: turn_check, turn_take, turn_settle, turn_release
-- loads holds: hold_check, hold_take, hold_settle, hold_release
--
-- The parts of a job: the resources that it takes when it is admitted. Each part has functions of
-- (prefix, ..., context), where `context` is {now (microseconds), id (of the job), principal, has_clock,
-- in `settle` final (its final state as JSON), process (its own) and owed (see fragments/owed.lua; set
-- by parts that are settled later)}:
--
--   check(prefix, asked, context)   nil, or the content of the refusal
--   take(prefix, asked, context)    takes everything, after all checks; returns the held resource and the result
--   settle(prefix, held, settlement, context)   at the ending of the job; both arguments may be nil
--   release(prefix, held, context)  undoes `take`
--   retake(prefix, asked, context)  like `take`, without a check, after Redis has lost its data; optional
--   load()  returns the first four, for a rarely used part
--
-- Checks run in this order, and the first refusal counts. All amounts are whole numbers as strings.
local PARTS = {
  { name = 'turn', load = load_turn },
  {
    name = 'quota',
    check = quota_check, take = quota_take, settle = quota_settle, release = quota_release,
    retake = quota_take,
  },
  { name = 'hold', load = load_holds },
  {
    name = 'usage',
    check = function() end, take = usage_take, settle = usage_settle, release = function() end,
    retake = usage_take,
  },
}

-- The function of a part by name, if any.
local function function_of(part, name)
  if part.load then
    part.check, part.take, part.settle, part.release = part.load()
    part.load = nil
  end
  return part[name]
end

-- The context of a job's parts. `clock` is a script's argument, empty or missing for the server's.
local function parts_context(clock, id, principal)
  return { now = math.floor(now_us(clock or '')), id = id, principal = principal, has_clock = (clock or '') ~= '' }
end

local function parts_of(json)
  if not json or json == '' then return {} end
  return cjson.decode(json)
end

-- The name of the first part that refuses, and the refusal as JSON.
local function check_parts(prefix, asked, context)
  for _, part in ipairs(PARTS) do
    if asked[part.name] then
      local refusal = function_of(part, 'check')(prefix, asked[part.name], context)
      if refusal then return part.name, cjson.encode(refusal) end
    end
  end
end

-- Takes all parts. Returns the held resources and the results as JSON; nil if the job asks for no parts.
-- `method` is the name of the function, `take` or `retake`.
local function take_parts(prefix, asked, context, method)
  local held, results = {}, {}
  for _, part in ipairs(PARTS) do
    local take = asked[part.name] and function_of(part, method)
    if take then held[part.name], results[part.name] = take(prefix, asked[part.name], context) end
  end
  return next(held) and cjson.encode(held), next(results) and cjson.encode(results)
end

-- Applies a settlement. A failing part does not prevent the ending of the job.
local function settle_parts(prefix, job, held, settlement, context)
  for _, part in ipairs(PARTS) do
    local name = part.name
    if held[name] or settlement[name] then
      local ok, problem = pcall(function_of(part, 'settle'), prefix, held[name], settlement[name], context)
      if not ok then
        problem = type(problem) == 'table' and problem.err or tostring(problem)
        redis.call('HSET', job, 'unsettled', name .. ': ' .. problem)
      end
    end
  end
  local owed = context.owed
  -- The call that settles it may have arrived earlier, on another connection.
  if not owed or redis.call('EXISTS', prefix .. 'settled:' .. context.id) == 1 then return end
  owed.process, owed.principal = context.process, context.principal
  redis.call('HSET', prefix .. 'owed', context.id, cjson.encode(owed))
end

local function release_parts(prefix, held, context)
  for _, part in ipairs(PARTS) do
    if held[part.name] then function_of(part, 'release')(prefix, held[part.name], context) end
  end
end
