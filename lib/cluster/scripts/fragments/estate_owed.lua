-- needs owed
--
-- Settles the debts of a dead process's jobs.

-- Time for which a settlement is remembered: the process may be alive and settle it as well.
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
