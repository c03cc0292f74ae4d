/** `/v1/usage`: what jobs have used; the caller's own, and an administrator's all. */
import { accessOf } from '../middleware/authenticate.js';
import { administrators } from '../middleware/require-admin.js';
import { checkUsageQuery } from './credits-requests.js';
import { kInternals } from '../../internal/util/symbols.js';
import { wireCounts } from '../../services/billing/wire.js';

/**
 * @param {import('../../gateway/gateway.js').Gateway} gateway
 * @returns {import('express').RequestHandler}
 */
export function usageRoute(gateway) {
  const admins = administrators(gateway[kInternals]);
  return async (req, res) => {
    const query = checkUsageQuery(req.query);
    const principal = admins.has(req) ? undefined : accessOf(req).principal;
    const { data, total } = await gateway.credits.usage({ ...query, principal });
    res.json({
      data: data.map(({ group, ...counts }) => ({ group, ...wireCounts(counts) })),
      total: wireCounts(total),
    });
  };
}
