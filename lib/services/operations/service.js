import { IdempotencyCache, checkIdempotencyKey } from '../../jobs/admission/idempotency.js';
import { asJson, checkListQuery } from '../../jobs/request.js';
import {
  asQueryNumber,
  checkOptions,
  checkSignal,
  checkString,
} from '../../internal/util/validate.js';
import { draining } from '../../jobs/errors.js';
import { WorkReservation } from '../../jobs/rate-limits/reservations.js';
import { endpoints, ANONYMOUS } from '../../jobs/policy/config.js';
import { streamEvents } from '../../streams/event-iterator.js';
import { operationNotFound } from './operations.js';

/** @typedef {import('../../jobs/admission/admission.js').Submission['access']} Access */

/**
 * Dependencies of a service.
 * @typedef {object} ServiceParts
 * @property {import('./operations.js').Operations} operations
 * @property {import('../../jobs/settings.js').Settings} options
 * @property {import('../../jobs/policy/access-control.js').AccessControl} access
 * @property {import('../../jobs/policy/signed-urls.js').StreamUrls} streamUrls
 * @property {import('../../streams/hub.js').JobHub} hub
 * @property {() => number} nowMs
 * @property {() => boolean} ready
 * @property {() => void} checkRoom throws an HttpError while the disk is full
 * @property {import('../../jobs/rate-limits/reservations.js').Reservations} reservations
 * @property {import('../../internal/util/memory-budget.js').MemoryBudget} [memory]
 * @property {() => boolean} [hasPrincipals] whether callers are distinguished; default no
 */

/**
 * Request fields that concern the operation as a whole.
 * @typedef {object} PolicyFields
 * @property {'cancel' | 'continue'} [on_disconnect]
 * @property {number} [disconnect_grace_ms]
 * @property {number} [max_wall_ms]
 */

/**
 * Hooks of a kind of operation. They receive checked requests only.
 * @template {PolicyFields} Request
 * @template View
 * @typedef {object} Kind
 * @property {import('./operations.js').OperationKind} name
 * @property {number} maxWallMs default of `max_wall_ms`
 * @property {(body: unknown) => Request} check throws an HttpError
 * @property {(request: Request, access: Access) => void} [admit] throws an HttpError to refuse this
 *   caller
 * @property {(operation: import('./operations.js').Operation, request: Request, access: Access) =>
 *   void} begin
 * @property {(operation: import('./operations.js').Operation, options: {whole: boolean}) => View}
 *   describe `whole`: includes the fields that lists omit
 */

/**
 * Submits, reads, lists, cancels and streams operations of one kind. Main thread.
 *
 * Workflows and crawls are two kinds; each checks requests, begins operations and describes their
 * progress.
 * @template {PolicyFields} Request
 * @template View
 * @template {import('../../streams/events.js').AnyStreamEvent} Event
 */
export class OperationService {
  #kind;
  #operations;
  #options;
  #access;
  #streamUrls;
  #hub;
  #ready;
  #checkRoom;
  #reservations;
  #memory;
  /** @type {IdempotencyCache<{id: string, createdAt: number}>} */
  #answers;

  /**
   * @param {ServiceParts} parts
   * @param {Kind<Request, View>} kind
   */
  constructor(parts, kind) {
    const { operations, options, access, streamUrls, hub, nowMs, ready, checkRoom } = parts;
    this.#checkRoom = checkRoom;
    this.#reservations = parts.reservations;
    this.#memory = parts.memory;
    this.#kind = kind;
    this.#operations = operations;
    this.#options = options;
    this.#access = access;
    this.#streamUrls = streamUrls;
    this.#hub = hub;
    this.#ready = ready;
    this.#answers = new IdempotencyCache({
      ...{ ...options.idempotency, nowMs },
      ...{ hasPrincipals: parts.hasPrincipals, memory: parts.memory },
    });
  }

  /** Bytes held by the idempotency keys. */
  get keyBytes() {
    return this.#answers.bytes;
  }

  /**
   * Begins an operation.
   * @param {Request} request the fields of the POST
   * @param {{principal?: string, idempotencyKey?: string}} [options] as of `gateway.submit`
   * @returns {Promise<{id: string, status: 'running', createdAt: number, streamUrl: string,
   *   replayed: boolean}>}
   * @throws {HttpError} `ERR_INVALID_VALUE` and the like, `ERR_OVERLOADED`, `ERR_DRAINING`,
   *   `ERR_IDEMPOTENCY_KEY_REUSED`, `ERR_RATE_LIMIT_EXCEEDED`, and errors of the kind
   */
  async submit(request, options) {
    const known = ['principal', 'idempotencyKey'];
    const { principal = ANONYMOUS, idempotencyKey } = checkOptions('submit', options, known);
    const access = this.#access.of(checkString('principal', principal));
    const { answer, replayed } = await this.admit(asJson(request), { access, idempotencyKey });
    const streamUrl = this.streamUrl(principal, answer.id).path;
    return { ...answer, status: 'running', streamUrl, replayed };
  }

  /**
   * @param {unknown} body parsed JSON
   * @param {{access: Access, idempotencyKey?: string}} submission
   * @returns {Promise<{answer: {id: string, createdAt: number}, replayed: boolean,
   *   entries: import('../../primitives/limiters/quota.js').QuotaEntry[]}>} `entries`:
   *   amounts reserved now and remaining
   */
  async admit(body, { access, idempotencyKey }) {
    const request = this.#kind.check(body);
    /** @type {import('../../primitives/limiters/quota.js').QuotaEntry[]} */
    const entries = [];
    const begin = () => this.#begin(request, access, entries);
    if (idempotencyKey === undefined) return { answer: await begin(), replayed: false, entries };
    const key = checkIdempotencyKey(idempotencyKey);
    return { ...(await this.#answers.answer(access.principal, key, body, begin)), entries };
  }

  /**
   * Reserves an operation's share of its caller's limits.
   * @param {Access} access
   * @returns {WorkReservation}
   * @throws {HttpError} 429
   */
  reserve(access) {
    const endpoint = endpoints[/** @type {'crawls' | 'workflows'} */ (`${this.#kind.name}s`)];
    return new WorkReservation(this.#reservations.forWork(access, endpoint));
  }

  /**
   * @param {Request} request
   * @param {Access} access
   * @param {import('../../primitives/limiters/quota.js').QuotaEntry[]} entries receives the
   *   reserved amounts
   */
  async #begin(request, access, entries) {
    const check = () => {
      this.checkReady();
      this.#memory?.check(`${this.#kind.name}s`, access.principal);
      this.#kind.admit?.(request, access);
    };
    check();
    let reservation;
    try {
      reservation = this.reserve(access);
    } catch (/** @type {any} */ error) {
      if (error?.status !== 429) throw error;
      // A client may receive the terminal event, from the reactor, before this thread does.
      await this.#hub.barrier();
      check();
      reservation = this.reserve(access);
    }
    entries.push(...reservation.entries);
    try {
      return this.#start(request, access, reservation);
    } catch (error) {
      reservation.release();
      entries.length = 0;
      throw error;
    }
  }

  /**
   * @param {Request} request
   * @param {Access} access
   * @param {WorkReservation} reservation
   */
  #start(request, access, reservation) {
    const { onDisconnect, disconnectGraceMs } = this.#options;
    const operation = this.#operations.create(this.#kind.name, access.principal, {
      onDisconnect: request.on_disconnect ?? onDisconnect,
      disconnectGraceMs: request.disconnect_grace_ms ?? disconnectGraceMs,
      maxWallMs: request.max_wall_ms ?? this.#kind.maxWallMs,
    });
    operation.reservation = reservation;
    this.#kind.begin(operation, request, access);
    return { id: operation.id, createdAt: Math.floor(operation.createdAtMs / 1000) };
  }

  /**
   * @throws {HttpError} 503 while the gateway accepts no new requests, 507 while its disk is full
   */
  checkReady() {
    if (!this.#ready()) throw draining();
    this.#checkRoom();
  }

  /**
   * @internal
   * @param {string} id
   * @param {string} principal
   * @returns {import('./operations.js').Operation}
   * @throws {HttpError} 404
   */
  find(id, principal) {
    const operation = this.#operations.find(this.#kind.name, id, principal);
    if (operation === undefined) throw operationNotFound(this.#kind.name);
    return operation;
  }

  /**
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @returns {View | undefined} undefined when unknown, purged, or of another principal
   */
  get(id, options) {
    const { principal = ANONYMOUS } = checkOptions('get', options, ['principal']);
    const operation = this.#operations.find(this.#kind.name, id, principal);
    return operation === undefined ? undefined : this.#kind.describe(operation, { whole: true });
  }

  /**
   * @param {string} id
   * @param {string} principal
   * @returns {View} without the fields that lists omit
   * @throws {HttpError} 404
   */
  summary(id, principal) {
    return this.#kind.describe(this.find(id, principal), { whole: false });
  }

  /**
   * A page, newest first.
   * @param {{limit?: number, after?: string, status?: import('../../jobs/request.js').JobStatus,
   *   principal?: string}} [options] as of `gateway.list`
   * @returns {{data: View[], hasMore: boolean}}
   */
  list(options) {
    const known = ['limit', 'after', 'status', 'principal'];
    const { limit, after, status, principal = ANONYMOUS } = checkOptions('list', options, known);
    const asked = { limit: asQueryNumber(limit), after, status };
    const query = checkListQuery(asked);
    const { page, hasMore } = this.#operations.list(this.#kind.name, { ...query, principal });
    return {
      data: page.map((operation) => this.#kind.describe(operation, { whole: false })),
      hasMore,
    };
  }

  /**
   * Cancels an operation and its child jobs, with the reason `client_request`. An ended one is
   * unchanged.
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @returns {Promise<View>} the state afterwards
   * @throws {HttpError} 404
   */
  async cancel(id, options) {
    const { principal = ANONYMOUS } = checkOptions('cancel', options, ['principal']);
    const operation = this.find(id, principal);
    operation.cancel('client_request');
    // Answer after the terminal event.
    await this.#hub.snapshot(operation.handle, { text: false });
    return this.#kind.describe(operation, { whole: true });
  }

  /**
   * Events of an operation, like `gateway.stream`.
   * @param {string} id
   * @param {{lastEventId?: string, signal?: AbortSignal, principal?: string}} [options]
   * @returns {AsyncIterable<Event>}
   * @throws {HttpError} 404
   */
  stream(id, options) {
    const known = ['lastEventId', 'signal', 'principal'];
    const { lastEventId, signal, principal = ANONYMOUS } = checkOptions('stream', options, known);
    const operation = this.find(id, principal);
    return streamEvents(this.#hub, operation, {
      lastEventId,
      signal: checkSignal('signal', signal),
    });
  }

  /**
   * @param {string} principal
   * @param {string} id of an operation of this principal
   * @returns {{path: string, expiresAt: number | null}} as StreamUrls has it
   */
  streamUrl(principal, id) {
    const operation = this.#operations.find(this.#kind.name, id, principal);
    return {
      path: this.#streamUrls.make(principal, [id], { parameter: `${this.#kind.name}_id` }),
      expiresAt: this.#streamUrls.expiryOf(operation === undefined ? [] : [operation]),
    };
  }
}
