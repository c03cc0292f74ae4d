/** `/v1/transfers`: moving credits, and moving them back. For administrators. */
import { checkReversal, checkTransfer } from './credits-requests.js';
import { jsonBody, optionalJsonBody } from '../middleware/json-body.js';
import { transferNotFound } from '../../services/billing/errors.js';
import { wireBalance, wireEvent } from '../../services/billing/wire.js';

/**
 * @param {import('express').Response} res
 * @param {import('../../services/billing/service.js').Transfer} transfer
 */
function send(res, { event, balance, replayed }) {
  if (replayed) res.set('Idempotency-Replayed', 'true');
  res.status(replayed ? 200 : 201).json({
    transfer_id: event.id,
    event: wireEvent(event),
    balance: wireBalance(balance),
  });
}

/**
 * @param {import('../../gateway/gateway.js').Gateway} gateway
 * @returns {Record<'create' | 'reverse', import('express').RequestHandler[]>}
 */
export function transferRoutes({ credits }) {
  /**
   * @param {import('express').Request} req
   * @param {import('express').Response} res
   */
  async function create(req, res) {
    const transfer = checkTransfer(req.body, req.get('idempotency-key'));
    send(res, await credits.transfer(transfer));
  }

  /**
   * @param {import('express').Request} req
   * @param {import('express').Response} res
   */
  async function reverse(req, res) {
    const { id } = req.params;
    const event = typeof id === 'string' && /^[1-9]\d{0,14}$/.test(id) ? Number(id) : undefined;
    const { force, key } = checkReversal(req.body ?? {}, req.get('idempotency-key'));
    if (event === undefined) throw transferNotFound();
    send(res, await credits.reverse({ key, event, force }));
  }

  return { create: [...jsonBody, create], reverse: [...optionalJsonBody, reverse] };
}
