-- needs holds, usage
--
-- Debts of ended jobs: a job that began a shared answer may end before the answer, and is settled
-- when the answer ends. Until then the hash `owed` (by job id) has in JSON the payment in case its process dies
-- before that, by the job's own usage: {process, hold (an event), settlement (as in settle_hold), principal,
-- model, counts (as in count_usage)}; hold, settlement and counts may be missing.

-- Settles once for each id. `what` is {hold, settlement, principal, model, counts}, as above. The settlement is
-- remembered for `ttl_ms`. Returns the amounts paid from the hold and beyond it; nil: it was settled before.
local function settle_once(prefix, what, context, ttl_ms)
  redis.call('HDEL', prefix .. 'owed', context.id)
  if not redis.call('SET', prefix .. 'settled:' .. context.id, '1', 'NX', 'PX', ttl_ms) then return nil end
  local paid, beyond
  if what.settlement then paid, beyond = settle_hold(prefix, what.hold, what.settlement, context) end
  if what.counts then count_usage(prefix, what.principal, what.model, what.counts, context.now) end
  return paid or '0', beyond or '0'
end
