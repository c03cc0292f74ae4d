import { randomUUID } from 'node:crypto';
import { AMOUNT_MAX, metadataOf } from '../../primitives/ledger/events.js';
import { checkTransfers } from '../../primitives/ledger/checks.js';
import { Accounts } from './accounts.js';
import { JobBilling } from './job-billing.js';
import { UsageTable, groupings, USAGE_DEFAULT_MS } from './usage.js';
import { accountNotFound, refusalOf, transferNotFound } from './errors.js';
import {
  checkBigInt,
  checkBoolean,
  checkChoice,
  checkId,
  checkInteger,
  checkOptions,
} from '../../internal/util/validate.js';
import { rangeError } from '../../internal/util/errors.js';

/** @typedef {import('../../primitives/ledger/events.js').LedgerEvent} LedgerEvent */
/** @typedef {import('../../primitives/ledger/ledger.js').LedgerBalance} LedgerBalance */

/** @typedef {import('../../primitives/ledger/events.js').LedgerMetadata} LedgerMetadata */

/**
 * In micro-credits. `overdraft`: how far `available` may go below zero; Infinity: no limit. `closed`:
 * present and true for a closed account.
 * @typedef {{id: string, overdraft: bigint | number} & LedgerBalance} Account
 */
/**
 * @typedef {object} Transfer
 * @property {LedgerEvent} event
 * @property {LedgerBalance} balance balance right after it: the payer's, or the payee's for a
 *   deposit
 * @property {boolean} replayed true if the key was known; this is then its first answer
 */
/**
 * An event and a balance for each transfer, as in `Transfer`.
 * @typedef {{events: LedgerEvent[], balances: LedgerBalance[], replayed: boolean}} LinkedTransfers
 */

const KEY_MAX = 256;
const EVENTS_MAX = 1000;
/** Unix times up to the year 9999. */
const TIME_MS_MAX = 253_402_300_800_000;

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {string} a name that is not reserved for the gateway
 */
function checkForeign(name, value) {
  const id = checkId(name, value, { max: KEY_MAX });
  if (id.startsWith('@')) throw rangeError(`${name} takes a string without "@" in front`);
  return id;
}

/**
 * @param {unknown} value
 * @returns {string} the key; default: a random key
 */
function checkKey(value) {
  return value === undefined ? `@once:${randomUUID()}` : checkForeign('key', value);
}

/**
 * @param {unknown} value
 * @returns {LedgerMetadata | undefined} a copy: the ledger is called later
 */
function checkMetadata(value) {
  const json = metadataOf('metadata', value);
  return json === '' ? undefined : JSON.parse(json);
}

/**
 * @typedef {object} UsageQueries
 * @property {(query: Parameters<UsageTable['query']>[0]) =>
 *   ReturnType<UsageTable['query']> | Promise<ReturnType<UsageTable['query']>>} query
 */

/**
 * Credits of a gateway: accounts and their events, transfers, and usage. Serves `gateway.credits`
 * and the routes. Main thread; lives as long as its gateway.
 */
export class Credits {
  #accounts;
  #usage;
  #store;
  #hub;
  #nowMs;

  /**
   * @param {object} deps
   * @param {import('./accounts.js').AccountsPort} deps.accounts
   * @param {UsageQueries} deps.usage
   * @param {() => number} deps.nowMs Unix time
   * @param {import('../../jobs/storage/job-store.js').JobStore} [deps.store] persistent storage
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   */
  constructor({ accounts, usage, nowMs, store, hub }) {
    this.#accounts = accounts;
    this.#usage = usage;
    this.#nowMs = nowMs;
    this.#store = store;
    this.#hub = hub;
  }

  /**
   * @param {string} id
   * @param {{unopened?: boolean}} [options] `unopened`: also for an account without any use so far,
   *   even if the configuration does not name it; default false
   * @returns {Promise<Account>}
   * @throws {import('../../internal/util/http-error.js').HttpError} `ERR_ACCOUNT_NOT_FOUND`
   */
  async account(id, options) {
    // No account has a longer name.
    if (checkId('id', id).length > KEY_MAX) throw accountNotFound();
    const given = checkOptions('account', options, ['unopened']);
    const unopened = checkBoolean('unopened', given.unopened, false);
    // A client that has read a job's terminal event must find the job settled.
    await this.#hub.barrier();
    const found = await this.#accounts.balance(id, { unopened });
    if (found === undefined) throw accountNotFound();
    await this.#written();
    const { available, held, posted, overdraft, closed } = found;
    const limit = overdraft === AMOUNT_MAX ? Infinity : overdraft;
    return { id, available, held, posted, overdraft: limit, ...(closed && { closed }) };
  }

  /**
   * Events of an account, oldest first.
   * @param {string} id
   * @param {{after?: number, limit?: number, unopened?: boolean}} [options] `after` the id of an
   *   event; `limit` 1 to 1000, default 100; `unopened` as above
   * @returns {Promise<{data: LedgerEvent[], hasMore: boolean}>}
   * @throws {import('../../internal/util/http-error.js').HttpError} `ERR_ACCOUNT_NOT_FOUND`
   */
  async events(id, options) {
    const { after, limit, unopened } = checkOptions('events', options, [
      'after',
      'limit',
      'unopened',
    ]);
    const from = checkInteger('after', after, { min: 0, fallback: 0 });
    const count = checkInteger('limit', limit, { max: EVENTS_MAX, fallback: 100 });
    await this.account(id, { unopened });
    const found = await this.#accounts.events(id, { after: from, limit: count + 1 });
    await this.#written();
    return { data: found.slice(0, count), hasMore: found.length > count };
  }

  /**
   * Resolves when the state just read is on the disk, so that no crash can undo it. While the disk
   * is full, answers show the state in memory.
   */
  async #written() {
    await this.#store?.file.synced().catch(() => {});
  }

  /**
   * Moves credits between accounts; without `from` it is a deposit, which opens the account if
   * necessary; without `to` a withdrawal. Resolves when the transfer is in the data file, if there
   * is one.
   * @param {object} options
   * @param {string} [options.key] a repeated key gets the first answer again, refusals included;
   *   without one each call is a new transfer
   * @param {string} [options.from]
   * @param {string} [options.to]
   * @param {bigint} options.amount in micro-credits, from 1n
   * @param {LedgerMetadata} [options.metadata] kept in the event; at most 4 KiB as JSON
   * @returns {Promise<Transfer>}
   * @throws {import('../../internal/util/http-error.js').HttpError} `ERR_INSUFFICIENT_CREDIT`,
   *   `ERR_ACCOUNT_NOT_FOUND`, `ERR_ACCOUNT_CLOSED`, `ERR_IDEMPOTENCY_KEY_REUSED`,
   *   `ERR_SAME_ACCOUNT`, `ERR_AMOUNT_TOO_LARGE`
   */
  transfer(options) {
    const given = checkOptions('transfer', options, ['key', 'from', 'to', 'amount', 'metadata']);
    const key = checkKey(given.key);
    const metadata = checkMetadata(given.metadata);
    const amount = checkBigInt('amount', given.amount, { min: 1n, max: AMOUNT_MAX });
    const from = given.from === undefined ? undefined : checkForeign('from', given.from);
    const to = given.to === undefined ? undefined : checkForeign('to', given.to);
    if (from === undefined && to === undefined) throw rangeError('to takes the name of an account');
    if (from === undefined) {
      const deposit = { key, account: to, amount, metadata };
      return this.#move({ method: 'deposit', options: deposit, payees: [to] });
    }
    if (to === undefined) {
      const withdrawal = { key, account: from, amount, metadata };
      return this.#move({ method: 'withdraw', options: withdrawal, named: [from] });
    }
    const made = { key, from, to, amount, metadata };
    return this.#move({ method: 'transfer', options: made, named: [from, to] });
  }

  /**
   * Makes transfers in order, all of them or none. Each sees the balances after
   * the previous ones.
   * @param {object} options
   * @param {string} [options.key] one key for all; see `transfer`
   * @param {{from?: string, to?: string, amount: bigint, metadata?: LedgerMetadata}[]}
   *   options.transfers 1 to 1000; without `from` a deposit, without `to` a withdrawal
   * @returns {Promise<LinkedTransfers>}
   * @throws {import('../../internal/util/http-error.js').HttpError} see `transfer`, with the refused
   *   one as `param`; no amount has moved then
   */
  linked(options) {
    const given = checkOptions('linked', options, ['key', 'transfers']);
    const key = checkKey(given.key);
    const transfers = checkTransfers(given.transfers).map(({ metadata, ...rest }) => {
      return { ...rest, ...(metadata !== '' && { metadata: JSON.parse(metadata) }) };
    });
    return this.#move({
      method: 'linked',
      options: { key, transfers },
      payees: transfers.map(({ from, to }) => (from === undefined ? to : undefined)),
      named: transfers.flatMap(({ from, to }) => [from, to]),
    });
  }

  /**
   * Closes an account without a balance and without holds, permanently: later transfers and jobs of
   * it are refused. Its history stays.
   * @param {object} options
   * @param {string} options.account
   * @param {string} [options.key] see `transfer`; without a key a repetition fails with
   *   `ERR_ACCOUNT_CLOSED`
   * @param {LedgerMetadata} [options.metadata] kept in the event; at most 4 KiB as JSON
   * @returns {Promise<Transfer>}
   * @throws {import('../../internal/util/http-error.js').HttpError} `ERR_ACCOUNT_NOT_FOUND`,
   *   `ERR_ACCOUNT_NOT_EMPTY`, `ERR_ACCOUNT_CLOSED`, `ERR_IDEMPOTENCY_KEY_REUSED`
   */
  closeAccount(options) {
    const given = checkOptions('closeAccount', options, ['key', 'account', 'metadata']);
    const key = checkKey(given.key);
    const account = checkForeign('account', given.account);
    const metadata = checkMetadata(given.metadata);
    const named = [account];
    return this.#move({ method: 'close', options: { key, account, metadata }, named });
  }

  /**
   * Reverses a transfer or the settlement of a job, once.
   * @param {object} options
   * @param {string} [options.key] see above; without a key a repetition fails with
   *   `ERR_ALREADY_REVERSED`
   * @param {number} options.event its id
   * @param {boolean} [options.force] also if the funds are spent: the account then goes below its
   *   limit; default false
   * @param {LedgerMetadata} [options.metadata] kept in the event; at most 4 KiB as JSON
   * @returns {Promise<Transfer>}
   * @throws {import('../../internal/util/http-error.js').HttpError} `ERR_TRANSFER_NOT_FOUND`,
   *   `ERR_ALREADY_REVERSED`, `ERR_NOT_REVERSIBLE`, `ERR_INSUFFICIENT_CREDIT`,
   *   `ERR_ACCOUNT_CLOSED`, `ERR_IDEMPOTENCY_KEY_REUSED`
   */
  async reverse(options) {
    const given = checkOptions('reverse', options, ['key', 'event', 'force', 'metadata']);
    const key = checkKey(given.key);
    const event = checkInteger('event', given.event, { min: 1 });
    const force = checkBoolean('force', given.force, false);
    const metadata = checkMetadata(given.metadata);
    await this.#hub.barrier();
    const about = await this.#accounts.event(event);
    // A refusal has an event but moved nothing. With a key, the ledger stores the answer under it.
    const isMissing = about === undefined && given.key === undefined;
    if (isMissing || about?.type === 'refused') throw transferNotFound();
    return this.#move({ method: 'reverse', options: { key, event, force, metadata } });
  }

  /**
   * @param {import('./accounts.js').Move} move
   * @returns {Promise<any>} the answer of the ledger, and `replayed`
   */
  async #move(move) {
    this.#store?.file.checkRoom();
    await this.#hub.barrier();
    let answer;
    try {
      answer = await this.#accounts.move(move);
    } catch (error) {
      const refused = refusalOf(error);
      // A refusal is stored under its key, too.
      await this.#store?.file.synced();
      throw refused;
    }
    await this.#store?.file.synced();
    return answer;
  }

  /**
   * Usage of ended jobs, by hours in UTC.
   * @param {object} [options]
   * @param {number} [options.fromMs] Unix time; default 30 days before `toMs`. Its whole hour is
   *   included
   * @param {number} [options.toMs] Unix time; default now. The rest of its hour is included
   * @param {import('./usage.js').Grouping} [options.groupBy] `model`, `key` (a principal), `day`
   *   (default) or `key_day` (`2026-01-31 PRINCIPAL`)
   * @param {string} [options.principal] default: all
   * @returns {Promise<{data: ({group: string} & import('./usage.js').Counts)[],
   *   total: import('./usage.js').Counts}>}
   */
  async usage(options) {
    const known = ['fromMs', 'toMs', 'groupBy', 'principal'];
    const { fromMs, toMs, groupBy, principal } = checkOptions('usage', options, known);
    await this.#hub.barrier();
    const time = (/** @type {string} */ name, /** @type {unknown} */ value, fallback = 0) =>
      checkInteger(name, value, { min: 0, max: TIME_MS_MAX, fallback });
    const to = time('toMs', toMs, Math.floor(this.#nowMs()) + 1);
    return this.#usage.query({
      toMs: to,
      fromMs: time('fromMs', fromMs, Math.max(0, to - USAGE_DEFAULT_MS)),
      groupBy: checkChoice('groupBy', groupBy, groupings, 'day'),
      principal: principal === undefined ? undefined : checkId('principal', principal),
    });
  }
}

/**
 * The billing services of a gateway.
 * @typedef {object} Billing
 * @property {Credits} credits
 * @property {import('../../jobs/admission/types.js').BillingPort & {open: number}} jobs `open`: jobs and
 *   answers that are not settled
 * @property {CallBilling} calls
 * @property {(record: JobRecord) => void} settle charges an ended job, or an ended shared answer, and counts its
 *   usage
 * @property {() => void} releaseOrphans see JobBilling
 * @property {(account: string) => void} forgetAccount drops the cached data of a renamed account
 * @property {UsageTable['rename']} renameUsage
 * @property {(principal: string) => Promise<void>} [erasePrincipal] in a deployment: renames the account and the
 *   usage of a caller, also in all events
 */
/**
 * Billing of calls that are charged like a job.
 * @typedef {object} CallBilling
 * @property {(record: JobRecord, request: import('../../jobs/checked-request.js').CheckedRequest,
 *   access: Readonly<import('../../jobs/policy/config.js').Access>) => void | Promise<void>} hold throws an
 *   HttpError: 402; with Redis 503 and 507
 * @property {(record: JobRecord) => void | Promise<void>} release releases a hold
 * @property {(record: JobRecord) => void | Promise<void>} settle settles a record with its `final`
 */
/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */

/**
 * Creates the billing services of a gateway.
 * @param {object} gateway's own
 * @param {import('../../primitives/ledger/ledger.js').Ledger} gateway.ledger
 * @param {import('../../jobs/policy/access-control.js').AccessControl} gateway.access
 * @param {import('../../jobs/settings.js').Settings} gateway.options
 * @param {import('./job-billing.js').BillingCounters} gateway.metrics
 * @param {() => number} gateway.nowMs Unix time
 * @param {import('../../jobs/storage/job-store.js').JobStore} [gateway.store]
 * @param {import('../../streams/hub.js').JobHub} gateway.hub
 * @returns {Billing}
 */
export function createBilling({ ledger, access, options, metrics, nowMs, store, hub }) {
  const accounts = new Accounts({ ledger, access });
  const usage = new UsageTable({ nowMs, file: store });
  const jobs = new JobBilling({ accounts, access, options, metrics });
  const settle = (/** @type {JobRecord} */ record) => {
    const settlement = jobs.settle(record);
    if (settlement !== undefined && !record.counted) usage.count(settlement);
  };
  return {
    credits: new Credits({ accounts, usage, nowMs, store, hub }),
    jobs,
    calls: {
      hold: (...call) => jobs.hold(...call),
      release: (record) => jobs.releaseHold(record),
      settle,
    },
    settle,
    releaseOrphans: () => jobs.releaseOrphans(),
    forgetAccount: (account) => accounts.forget(account),
    renameUsage: (principal, name) => usage.rename(principal, name),
  };
}
