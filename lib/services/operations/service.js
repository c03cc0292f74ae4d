import { IdempotencyCache, checkIdempotencyKey } from '../../jobs/admission/idempotency.js';
import { chain } from './directory.js';
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
import { operationNotFound } from './operation.js';

/** @typedef {import('./types.js').Access} Access */
/** @typedef {import('./types.js').Operation} Operation */
/** @typedef {import('./types.js').SavedOperation} SavedOperation */
/** @typedef {import('./types.js').ServiceParts} ServiceParts */
/** @typedef {import('./types.js').SharedServiceParts} SharedServiceParts */
/** @typedef {import('./types.js').PolicyFields} PolicyFields */
/** @typedef {import('../../jobs/admission/idempotency.js').UsedKey} UsedKey */
/** @typedef {{id: string, createdAt: number}} Answer */
/**
 * @template T
 * @typedef {import('./directory.js').Perhaps<T>} Perhaps
 */
/**
 * @template {PolicyFields} Request
 * @template View
 * @typedef {import('./types.js').Kind<Request, View>} Kind
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
  #directory;
  #shared;
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
    const { operations, options, access, streamUrls, hub, nowMs, ready, checkRoom, shared } = parts;
    this.#checkRoom = checkRoom;
    this.#reservations = parts.reservations;
    this.#memory = parts.memory;
    this.#kind = kind;
    this.#operations = operations;
    this.#directory = parts.directory;
    this.#shared = shared;
    this.#options = options;
    this.#access = access;
    this.#streamUrls = streamUrls;
    this.#hub = hub;
    this.#ready = ready;
    this.#answers = new IdempotencyCache({
      ...{ ...options.idempotency, nowMs },
      ...{ hasPrincipals: parts.hasPrincipals, memory: parts.memory },
      kept: shared === undefined,
      find: shared && ((used) => shared.writes.known(this.#keyOf(used))),
    });
    operations.restoreWith(kind.name, (operation, saved) => kind.restore(operation, saved));
  }

  /** Bytes held by the idempotency keys. */
  get keyBytes() {
    return this.#answers.bytes;
  }

  /**
   * Begins an operation.
   * @param {Request} request the fields of the POST
   * @param {{principal?: string, idempotencyKey?: string}} [options] see `gateway.submit`
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
    let isKnown = false;
    const begin = async (/** @type {UsedKey | undefined} */ used) => {
      if (this.#shared === undefined) return this.#begin(request, access, entries);
      const { answer, known } = await this.#beginShared(request, access, entries, used);
      isKnown = known;
      return answer;
    };
    if (idempotencyKey === undefined) {
      return { answer: await begin(undefined), replayed: false, entries };
    }
    const key = checkIdempotencyKey(idempotencyKey);
    const { answer, replayed } = await this.#answers.answer(access.principal, key, body, begin);
    return { answer, replayed: replayed || isKnown, entries };
  }

  /**
   * Reserves an operation's share of its caller's limits.
   * @param {Access} access
   * @returns {WorkReservation}
   * @throws {HttpError} 429
   */
  reserve(access) {
    return new WorkReservation(this.#reservations.forWork(access, this.#endpoint));
  }

  get #endpoint() {
    return endpoints[/** @type {'crawls' | 'workflows'} */ (`${this.#kind.name}s`)];
  }

  /**
   * @param {Request} request
   * @param {Access} access
   */
  #check(request, access) {
    this.checkReady();
    this.#memory?.check(`${this.#kind.name}s`, access.principal);
    this.#kind.admit?.(request, access);
  }

  /**
   * Announces an operation to the other processes, takes its limits, and begins it here.
   * @param {Request} request
   * @param {Access} access
   * @param {import('../../primitives/limiters/quota.js').QuotaEntry[]} entries receives the reserved amounts
   * @param {UsedKey} [used]
   * @returns {Promise<{answer: Answer, known: boolean}>} `known`: another request with its key created it
   */
  async #beginShared(request, access, entries, used) {
    const { writes } = /** @type {SharedServiceParts} */ (this.#shared);
    this.#check(request, access);
    const operation = this.#prepare(request, access);
    /** @type {any} */
    const own = operation;
    if (used !== undefined) {
      operation.usedKey = { ...this.#keyOf(used), answer: () => answerFor(operation) };
    }
    const known = await writes.admit(own, this.partsOf(operation, access));
    if (known !== undefined) return { answer: known, known: true };
    try {
      // The gateway may have begun to drain while Redis was answering.
      this.checkReady();
      this.#operations.begin(operation);
    } catch (error) {
      void writes.retract(own);
      throw error;
    }
    entries.push(...(operation.reservation?.entries ?? []));
    this.#kind.run(operation);
    await writes.placed(own);
    return { answer: answerFor(operation), known: false };
  }

  /**
   * The name of the key in Redis: a key may be used once per kind. No key of a job begins with a space.
   * @param {UsedKey} used
   * @returns {UsedKey}
   */
  #keyOf({ name, fingerprint }) {
    return { name: ` ${this.#kind.name}\n${name}`, fingerprint };
  }

  /**
   * The limits taken by the script that announces an operation.
   * @param {Operation} operation
   * @param {Access} access
   * @returns {import('../../jobs/shared-jobs-port.js').PartsOfJob}
   */
  partsOf(operation, access) {
    const { reservations } = /** @type {SharedServiceParts} */ (this.#shared);
    const quota = reservations.ofWork(access, this.#endpoint);
    operation.reservation = new WorkReservation(undefined);
    return {
      asked: quota === undefined ? {} : { quota: quota.asked },
      taken: (results) => {
        if (quota !== undefined && results.quota !== undefined) {
          operation.reservation = new WorkReservation(quota.taken(results.quota));
        }
      },
      refused: (_name, refusal) => quota?.refused(refusal) ?? new Error('nothing was asked for'),
    };
  }

  /**
   * @param {Request} request
   * @param {Access} access
   * @param {import('../../primitives/limiters/quota.js').QuotaEntry[]} entries receives the
   *   reserved amounts
   */
  async #begin(request, access, entries) {
    const check = () => this.#check(request, access);
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
    const operation = this.#prepare(request, access);
    operation.reservation = reservation;
    this.#operations.begin(operation);
    this.#kind.run(operation);
    return answerFor(operation);
  }

  /**
   * @param {Request} request
   * @param {Access} access
   * @returns {Operation}
   */
  #prepare(request, access) {
    const { name } = this.#kind;
    const policy = this.policyOf(request);
    const operation = this.#operations.prepare(name, access.principal, policy);
    operation.body = request;
    operation.metadata = /** @type {{metadata?: Record<string, unknown>}} */ (request).metadata;
    this.#kind.prepare(operation, request, access);
    return operation;
  }

  /**
   * @param {Request} request
   * @returns {import('./operation.js').OperationPolicy}
   */
  policyOf(request) {
    const { onDisconnect, disconnectGraceMs } = this.#options;
    return {
      onDisconnect: request.on_disconnect ?? onDisconnect,
      disconnectGraceMs: request.disconnect_grace_ms ?? disconnectGraceMs,
      maxWallMs: request.max_wall_ms ?? this.#kind.maxWallMs,
    };
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
   * @returns {Perhaps<Operation | SavedOperation>} with its `data`
   * @throws {HttpError} 404
   */
  find(id, principal) {
    return chain(this.#directory.find(this.#kind.name, id, principal), (operation) => {
      if (operation === undefined) throw operationNotFound(this.#kind.name);
      return this.#restored(operation, { whole: true });
    });
  }

  /**
   * As `find`, for administrators.
   * @internal
   * @param {string} id of an operation of any principal
   * @returns {Perhaps<Operation | SavedOperation>}
   * @throws {HttpError} 404
   */
  findOfAny(id) {
    const { name } = this.#kind;
    return chain(this.#directory.principalOf(name, id), (principal) => {
      if (principal === undefined) throw operationNotFound(name);
      return /** @type {any} */ (this.find(id, principal));
    });
  }

  /**
   * @param {Operation | SavedOperation} operation
   * @param {{whole: boolean}} how
   */
  #restored(operation, { whole }) {
    if ('snapshot' in operation && 'nodes' in operation && operation.data === undefined) {
      const { nodes, snapshot } = operation;
      operation.data = this.#kind.restore(operation, { ...(whole && { nodes }), snapshot });
    }
    return operation;
  }

  /**
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @returns {Perhaps<View | undefined>} undefined if unknown, purged, or of another principal; a promise with
   *   `redis`
   */
  get(id, options) {
    const { principal = ANONYMOUS } = checkOptions('get', options, ['principal']);
    return chain(this.#directory.find(this.#kind.name, id, principal), (operation) =>
      operation === undefined ? undefined : this.#view(operation),
    );
  }

  /**
   * @param {Operation | SavedOperation} operation
   * @returns {Perhaps<View>}
   */
  #view(operation) {
    this.#restored(operation, { whole: true });
    return chain(this.loaded(operation), () => this.#kind.describe(operation, { whole: true }));
  }

  /**
   * Loads the fields of `describe` that `restore` did not load from Redis.
   * @param {Operation | SavedOperation} _operation
   * @returns {Perhaps<void>}
   */
  loaded(_operation) {}

  /**
   * @param {Operation} operation of this process
   * @returns {View} without the fields that lists omit
   */
  summary(operation) {
    return this.#kind.describe(operation, { whole: false });
  }

  /**
   * A page, newest first.
   * @param {{limit?: number, after?: string, status?: import('../../jobs/request.js').JobStatus,
   *   principal?: string}} [options] see `gateway.list`
   * @returns {Perhaps<{data: View[], hasMore: boolean}>} a promise with `redis`
   */
  list(options) {
    const known = ['limit', 'after', 'status', 'principal'];
    const { limit, after, status, principal = ANONYMOUS } = checkOptions('list', options, known);
    const asked = { limit: asQueryNumber(limit), after, status };
    const query = checkListQuery(asked);
    const found = this.#directory.list(this.#kind.name, { ...query, principal });
    return chain(found, ({ page, hasMore }) => ({
      data: page.map((operation) =>
        this.#kind.describe(this.#restored(operation, { whole: false }), { whole: false }),
      ),
      hasMore,
    }));
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
    const operation = await this.#directory.cancel(await this.find(id, principal));
    if (operation === undefined) throw operationNotFound(this.#kind.name);
    return this.#view(operation);
  }

  /**
   * Events of an operation, like `gateway.stream`.
   * @param {string} id
   * @param {{lastEventId?: string, signal?: AbortSignal, principal?: string}} [options]
   * @returns {AsyncIterable<Event>}
   * @throws {HttpError} 404. With `redis` the first `next()` rejects with it
   */
  stream(id, options) {
    const known = ['lastEventId', 'signal', 'principal'];
    const { lastEventId, signal, principal = ANONYMOUS } = checkOptions('stream', options, known);
    const log = this.#shared === undefined ? this.log(id, principal) : undefined;
    const find = this.#shared && (async () => this.log(id, principal));
    return streamEvents(
      this.#hub,
      { handle: /** @type {{handle: number} | undefined} */ (log)?.handle, find },
      { lastEventId, signal: checkSignal('signal', signal) },
    );
  }

  /**
   * @param {string} id
   * @param {string} principal
   * @returns {Perhaps<{handle: number, purgeDueMs: number}>}
   * @throws {HttpError} 404
   */
  log(id, principal) {
    return chain(this.#directory.log(this.#kind.name, id, principal), (log) => {
      if (log === undefined) throw operationNotFound(this.#kind.name);
      return log;
    });
  }

  /**
   * @param {string} principal
   * @param {string} id of an operation of this principal
   * @param {{purgeDueMs: number}} [operation] default: it is not known when the URL expires
   * @returns {{path: string, expiresAt: number | null}} see StreamUrls
   */
  streamUrl(principal, id, operation) {
    return {
      path: this.#streamUrls.make(principal, [id], { parameter: `${this.#kind.name}_id` }),
      expiresAt: this.#streamUrls.expiryOf(operation === undefined ? [] : [operation]),
    };
  }
}

/** @param {Operation} operation @returns {Answer} */
function answerFor({ id, createdAtMs }) {
  return { id, createdAt: Math.floor(createdAtMs / 1000) };
}
