-- needs owed
--
-- Settles what the jobs of a process that is gone still owe.

-- How long it is known that it was settled: the process may live, and settle it as well.
local ESTATE_SETTLED_MS = '3600000'

local function settle_owed(prefix, process)
  local all = redis.call('HGETALL', prefix .. 'owed')
  for i = 1, #all, 2 do
    local what = cjson.decode(all[i + 1])
    if what.process == process then
      settle_once(prefix, what, { now = math.floor(now_us('')), id = all[i] }, ESTATE_SETTLED_MS)
    end
  end
end
