/** `/v1/accounts/{id}`: what an account has, and what has happened to it. */
import { accountNotFound } from '../../services/billing/errors.js';
import { accountOf } from '../../jobs/policy/prices.js';
import { accessOf } from '../middleware/authenticate.js';
import { administrators } from '../middleware/require-admin.js';
import { checkEventsQuery } from './credits-requests.js';
import { kInternals } from '../../internal/util/symbols.js';
import { wireAmount, wireBalance, wireEvent } from '../../services/billing/wire.js';

/**
 * @param {import('../../gateway/gateway.js').Gateway} gateway
 * @returns {Record<'read' | 'events', import('express').RequestHandler>}
 */
export function accountRoutes(gateway) {
  const { credits } = gateway;
  const admins = administrators(gateway[kInternals]);

  /**
   * @param {import('express').Request} req
   * @returns {{id: string, unopened: boolean}} the `:id` of its path, if the caller may see that account;
   *   the caller's own is there before it is used
   */
  function wantedBy(req) {
    const { id } = req.params;
    const own = accountOf(accessOf(req)) === id;
    if (typeof id === 'string' && (own || (id.isWellFormed() && admins.has(req)))) {
      return { id, unopened: own };
    }
    throw accountNotFound();
  }

  return {
    async read(req, res) {
      const wanted = wantedBy(req);
      const { id, overdraft, ...balance } = await credits.account(wanted.id, wanted);
      res.json({ account_id: id, ...wireBalance(balance), overdraft: wireAmount(overdraft) });
    },

    async events(req, res) {
      const query = checkEventsQuery(req.query);
      const { id, unopened } = wantedBy(req);
      const { data, hasMore } = await credits.events(id, { ...query, unopened });
      res.json({ data: data.map(wireEvent), has_more: hasMore });
    },
  };
}
