-- Lists jobs of a principal, newest first. Removes missing jobs from the list.
--
-- KEYS  jobs:<principal>
-- ARGV  prefix, after (an id; empty: none), limit, status (empty for all), steps_max
-- Returns {'OK', cursor, jobs}, for each job its id and the flat fields without the request and the held resources;
-- `cursor` is the id to continue after, empty at the end of the list. {'UNKNOWN'}: `after` is not in the list.
local prefix, after, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
local status, steps_max = ARGV[4], tonumber(ARGV[5])
local index = KEYS[1]

local rank = 0
if after ~= '' then
  local found = redis.call('ZREVRANK', index, after)
  if not found then return { 'UNKNOWN' } end
  rank = found + 1
end
local jobs, stale, cursor, steps = {}, {}, '', 0
while cursor == '' do
  local ids = redis.call('ZREVRANGE', index, rank, rank + 99)
  if #ids == 0 then break end
  for _, id in ipairs(ids) do
    local job = prefix .. 'job:' .. id
    local own = redis.call('HGET', job, 'status')
    if not own then
      stale[#stale + 1] = id
    elseif status == '' or own == status then
      local fields = redis.call('HGETALL', job)
      local out = { id }
      for i = 1, #fields, 2 do
        if fields[i] ~= 'request' and fields[i] ~= 'held' then
          out[#out + 1] = fields[i]
          out[#out + 1] = fields[i + 1]
        end
      end
      jobs[#jobs + 1] = out
    end
    steps = steps + 1
    if #jobs == limit or steps == steps_max then
      cursor = id
      break
    end
  end
  rank = rank + #ids
end
-- The next call looks the cursor up: it stays in the list.
for _, id in ipairs(stale) do
  if id ~= cursor then redis.call('ZREM', index, id) end
end
return { 'OK', cursor, jobs }
