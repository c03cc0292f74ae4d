-- needs holds, usage
--
-- What jobs that have ended are still to pay: one that began a shared answer which goes on without it is settled
-- when the answer ends. Until then `owed`, a hash by the id of the job, says in JSON what it pays if its process is
-- gone before that, by what it had used itself: {process, hold (an event), settlement (as of settle_hold), principal,
-- model, counts (as of count_usage)}; hold, settlement and counts may be missing.

-- Settles once for each id. `what` is {hold, settlement, principal, model, counts}, as above. It is known for
-- `ttl_ms` that it was settled. Answers what was paid of the hold and beyond it; nil: it was settled before.
local function settle_once(prefix, what, context, ttl_ms)
  redis.call('HDEL', prefix .. 'owed', context.id)
  if not redis.call('SET', prefix .. 'settled:' .. context.id, '1', 'NX', 'PX', ttl_ms) then return nil end
  local paid, beyond
  if what.settlement then paid, beyond = settle_hold(prefix, what.hold, what.settlement, context) end
  if what.counts then count_usage(prefix, what.principal, what.model, what.counts, context.now) end
  return paid or '0', beyond or '0'
end
