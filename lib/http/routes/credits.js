/** `/v1/accounts`, `/v1/transfers` and `/v1/usage`. */
import { accountNotFound, transferNotFound } from '../../services/billing/errors.js';
import { NAME_MAX } from '../../primitives/ledger/checks.js';
import { accountOf } from '../../jobs/policy/prices.js';
import {
  checkClosing,
  checkEventsQuery,
  checkLinked,
  checkReversal,
  checkTransfer,
  checkUsageQuery,
} from './credits-requests.js';
import { idempotencyKeyOf } from './jobs.js';
import { sendJson } from '../respond.js';
import {
  amountToJson,
  balanceToJson,
  countsToJson,
  eventToJson,
} from '../../services/billing/wire.js';

/** @typedef {import('../router.js').Handle} Handle */

/**
 * @param {import('node:http').ServerResponse} res
 * @param {import('../../services/billing/service.js').Transfer} transfer
 */
function sendTransfer(res, { event, balance, replayed }) {
  send(res, transferToJson(event, balance), replayed);
}

/**
 * @param {import('../../services/billing/service.js').LedgerEvent} event
 * @param {import('../../services/billing/service.js').LedgerBalance} balance
 */
function transferToJson(event, balance) {
  return {
    transfer_id: event.id,
    event: eventToJson(event),
    balance: balanceToJson(balance),
  };
}

/**
 * @param {import('node:http').ServerResponse} res
 * @param {object} body
 * @param {boolean} replayed
 */
function send(res, body, replayed) {
  if (replayed) res.setHeader('Idempotency-Replayed', 'true');
  sendJson(res, replayed ? 200 : 201, body);
}

/**
 * @param {string} id
 * @returns {boolean} whether an account other than the ledger's own may have this name
 */
function isForeign(id) {
  return id !== '' && id.length <= NAME_MAX && id.isWellFormed() && !id.startsWith('@');
}

/**
 * @param {object} deps
 * @param {import('../../services/billing/service.js').Credits} deps.credits
 * @param {ReturnType<typeof import('../middleware/require-admin.js').createAdminCheck>} deps.admins
 * @returns {import('../router.js').Routes}
 */
export function creditRoutes({ credits, admins }) {
  /**
   * @param {import('node:http').IncomingMessage} req
   * @param {import('../router.js').Context} context
   * @returns {{id: string, unopened: boolean}} an account visible to the caller: the caller's own, which
   *   is visible before its first use, or any account for an administrator
   */
  function accountFor(req, { params: { id = '' }, access }) {
    const own = accountOf(access) === id;
    if (own || (id.isWellFormed() && admins.isAdmin(req, access))) return { id, unopened: own };
    throw accountNotFound();
  }

  /** @type {Handle} */
  async function read(req, res, context) {
    const wanted = accountFor(req, context);
    const { id, overdraft, closed, ...balance } = await credits.account(wanted.id, {
      unopened: wanted.unopened,
    });
    const answer = {
      account_id: id,
      ...balanceToJson(balance),
      overdraft: amountToJson(overdraft),
      ...(closed && { closed }),
    };
    sendJson(res, 200, answer);
  }

  /** @type {Handle} */
  async function events(req, res, context) {
    const query = checkEventsQuery(context.query);
    const { id, unopened } = accountFor(req, context);
    const { data, hasMore } = await credits.events(id, { ...query, unopened });
    sendJson(res, 200, { data: data.map(eventToJson), has_more: hasMore });
  }

  /** @type {Handle} */
  async function transfer(req, res, { body, note }) {
    const request = checkTransfer(body, idempotencyKeyOf(req));
    const { from, to, amount } = request;
    note({ details: { from, to, amount: amountToJson(amount) ?? undefined } });
    const made = await credits.transfer(request);
    note({ target: String(made.event.id), details: { replayed: made.replayed } });
    sendTransfer(res, made);
  }

  /** @type {Handle} */
  async function linked(req, res, { body, note }) {
    const request = checkLinked(body, idempotencyKeyOf(req));
    note({ details: { transfers: request.transfers.length } });
    const { events: all, balances, replayed } = await credits.linked(request);
    note({ target: String(all[0].id), details: { replayed } });
    const transfers = all.map((event, i) => transferToJson(event, balances[i]));
    send(res, { transfers }, replayed);
  }

  /** @type {Handle} */
  async function close(req, res, { params: { id = '' }, body = {}, note }) {
    const { key, metadata } = checkClosing(body, idempotencyKeyOf(req));
    // An invalid name, which no account can have.
    if (!isForeign(id)) throw accountNotFound();
    const { event, balance, replayed } = await credits.closeAccount({ key, account: id, metadata });
    note({ details: { replayed } });
    const answer = { account_id: id, event: eventToJson(event), balance: balanceToJson(balance) };
    send(res, answer, replayed);
  }

  /** @type {Handle} */
  async function reverse(req, res, { params: { id = '' }, body = {}, note }) {
    const { force, key, metadata } = checkReversal(body, idempotencyKeyOf(req));
    if (!/^[1-9]\d{0,14}$/.test(id)) throw transferNotFound();
    note({ details: { force } });
    const made = await credits.reverse({ key, event: Number(id), force, metadata });
    note({ details: { transfer_id: made.event.id, replayed: made.replayed } });
    sendTransfer(res, made);
  }

  /** @type {Handle} */
  async function usage(req, res, { query: given, access }) {
    const query = checkUsageQuery(given);
    const principal = admins.isAdmin(req, access) ? undefined : access.principal;
    const { data, total } = await credits.usage({ ...query, principal });
    sendJson(res, 200, {
      data: data.map(({ group, ...counts }) => ({ group, ...countsToJson(counts) })),
      total: countsToJson(total),
    });
  }

  return {
    '/v1/accounts/:id': { GET: { handle: read } },
    '/v1/accounts/:id/events': { GET: { handle: events } },
    '/v1/accounts/:id/close': {
      POST: {
        ...{ handle: close, auth: 'admin', body: 'optional-json' },
        audit: { action: 'account.close' },
      },
    },
    '/v1/transfers/linked': {
      POST: {
        ...{ handle: linked, auth: 'admin', body: 'json' },
        audit: { action: 'credits.transfer_linked' },
      },
    },
    '/v1/transfers': {
      POST: {
        ...{ handle: transfer, auth: 'admin', body: 'json' },
        audit: { action: 'credits.transfer' },
      },
    },
    '/v1/transfers/:id/reverse': {
      POST: {
        ...{ handle: reverse, auth: 'admin', body: 'optional-json' },
        audit: { action: 'credits.reverse' },
      },
    },
    '/v1/usage': { GET: { handle: usage } },
  };
}
