import { asJson } from '../../jobs/request.js';
import { badRequest } from '../../internal/util/http-error.js';
import { checkConversationsQuery, checkCreate, checkFork } from './requests.js';
import { conversationBusy, conversationNotFound } from './errors.js';
import { checkOptions } from '../../internal/util/validate.js';
import { shown } from './messages.js';
import { ANONYMOUS } from '../../jobs/policy/config.js';

/** @typedef {import('./repository.js').Head} Head */
/** @typedef {import('./messages.js').Message} Message */
/** @typedef {import('./messages.js').StoredMessage} StoredMessage */
/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../primitives/kv/namespaces.js').KvNamespace} KvNamespace */

/**
 * A conversation as the JavaScript API shows it.
 * @typedef {object} Conversation
 * @property {string} id
 * @property {string} [title]
 * @property {Record<string, unknown>} [metadata]
 * @property {number} createdAt Unix seconds, as the two below
 * @property {number} updatedAt time of the last change of its messages
 * @property {number | null} expiresAt null: never expires, or a turn is running
 * @property {number} messageCount
 * @property {Message[]} [messages] absent in lists
 * @property {string} [busyJobId] the job of the running turn
 * @property {Message[]} [busyMessages] messages of the running turn, not part of the conversation
 *   yet; absent in lists
 * @property {{id: string, messageCount: number}} [forkedFrom]
 */

/** @param {number} ms */
const seconds = (ms) => Math.floor(ms / 1000);

/**
 * @param {Head} head
 * @param {StoredMessage[]} [messages]
 * @param {StoredMessage[]} [asked]
 * @returns {Conversation}
 */
function describe(head, messages, asked) {
  const { id, title, metadata, createdMs, updatedMs, expiresMs, count, jobId, forkedFrom } = head;
  return {
    id,
    ...(title !== undefined && { title }),
    ...(metadata !== undefined && { metadata }),
    createdAt: seconds(createdMs),
    updatedAt: seconds(updatedMs),
    expiresAt: expiresMs === null ? null : seconds(expiresMs),
    messageCount: count,
    ...(messages !== undefined && { messages: messages.map(shown) }),
    ...(jobId !== undefined && { busyJobId: jobId }),
    ...(asked && { busyMessages: asked.map(shown) }),
    ...(forkedFrom && { forkedFrom: { id: forkedFrom.id, messageCount: forkedFrom.count } }),
  };
}

/**
 * Creates, reads, lists, forks and deletes conversations; `Turns` runs their turns. Main thread.
 *
 * `gateway.conversations`.
 */
export class Conversations {
  #repository;
  #turns;
  #limits;
  #store;
  #memory;
  #lifecycle;

  /**
   * @param {object} parts
   * @param {import('./repository.js').ConversationRepository} parts.book
   * @param {import('./turns.js').Turns} parts.turns
   * @param {import('./repository.js').ConversationLimits} parts.limits
   * @param {import('../../jobs/execution/lifecycle.js').JobLifecycle} parts.lifecycle
   * @param {import('../../jobs/storage/job-store.js').JobStore} [parts.store]
   * @param {import('../../internal/util/memory-budget.js').MemoryBudget} [parts.memory]
   */
  constructor({ book, turns, limits, lifecycle, store, memory }) {
    this.#repository = book;
    this.#turns = turns;
    this.#limits = limits;
    this.#store = store;
    this.#memory = memory;
    this.#lifecycle = lifecycle;
  }

  /**
   * @param {import('./requests.js').CreateRequest} [request] the fields of `POST /v1/conversations`
   * @param {{principal?: string}} [options]
   * @returns {Promise<Conversation>}
   * @throws {import('../../internal/util/http-error.js').HttpError} `ERR_INVALID_VALUE` and the like,
   *   `ERR_CONVERSATION_TOO_LONG`, `ERR_CONVERSATIONS_FULL`
   */
  async create(request = {}, options) {
    const { principal = ANONYMOUS } = checkOptions('create', options, ['principal']);
    const { messages = [], ...rest } = checkCreate(asJson(request));
    const { ttlMs = this.#defaultTtlMs, ...settings } = settingsOf(rest);
    return this.#add(principal, (space) =>
      this.#repository.create(space, { ...settings, ttlMs, messages }),
    );
  }

  /**
   * Creates a conversation with a copy of this one's messages, without those of a running turn.
   * @param {string} id
   * @param {import('./requests.js').ForkRequest} [request]
   * @param {{principal?: string}} [options]
   * @returns {Promise<Conversation>}
   * @throws {import('../../internal/util/http-error.js').HttpError} `ERR_CONVERSATION_NOT_FOUND`,
   *   and as `create`
   */
  async fork(id, request = {}, options) {
    const { principal = ANONYMOUS } = checkOptions('fork', options, ['principal']);
    const { at, ...rest } = checkFork(asJson(request));
    const settings = settingsOf(rest);
    const space = this.#repository.of(principal);
    await this.#turns.turnSettled(space, id);
    return this.#add(principal, () =>
      this.#repository.fork(space, id, settings, (count) => {
        if (at === undefined || at <= count) return at ?? count;
        throw badRequest('invalid_value', 'at', `at must be at most ${count}, its messages.`);
      }),
    );
  }

  /**
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @returns {Promise<Conversation | undefined>} undefined when unknown, expired, or of another
   *   principal
   */
  async get(id, options) {
    const { principal = ANONYMOUS } = checkOptions('get', options, ['principal']);
    const space = this.#repository.of(principal);
    await this.#turns.turnSettled(space, id);
    const found = this.#repository.read(space, id);
    return found && describe(found.head, found.messages, found.asked);
  }

  /**
   * A page of conversations without messages, latest activity first.
   * @param {{limit?: number, after?: string, principal?: string}} [options] `limit` 1 to 100,
   *   default 20; `after` the id of the last conversation of the page before
   * @returns {Promise<{data: Conversation[], hasMore: boolean}>}
   * @throws {import('../../internal/util/http-error.js').HttpError} 400
   */
  async list(options) {
    const known = ['limit', 'after', 'principal'];
    const { limit, after, principal = ANONYMOUS } = checkOptions('list', options, known);
    const asked = { limit: limit === undefined ? undefined : String(limit), after };
    const query = checkConversationsQuery(asked);
    const space = this.#repository.of(principal);
    await this.#turns.allSettled(space);
    const heads = this.#repository.list(space);
    const start = after === undefined ? 0 : heads.findIndex(({ id }) => id === after) + 1;
    if (after !== undefined && start === 0) {
      const message = 'after must be the id of a conversation that is kept.';
      throw badRequest('invalid_value', 'after', message);
    }
    const page = heads.slice(start, start + query.limit);
    return {
      data: page.map((head) => describe(head)),
      hasMore: start + page.length < heads.length,
    };
  }

  /**
   * The latest conversations of all principals, without messages; for administrators.
   * @param {{limit: number, scanMax: number}} options
   * @returns {{data: (Conversation & {owner: string, bytes: number})[], truncated: boolean}} `truncated`: only
   *   `scanMax` of them were read, and later ones may be missing
   */
  recent({ limit, scanMax }) {
    const { heads, truncated } = this.#repository.heads(scanMax);
    const data = heads
      .slice(0, limit)
      .map(({ owner, head }) => ({ ...describe(head), owner, bytes: head.bytes }));
    return { data, truncated };
  }

  /**
   * Deletes a conversation. The job of a running turn is cancelled.
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @throws {import('../../internal/util/http-error.js').HttpError} `ERR_CONVERSATION_NOT_FOUND`;
   *   `ERR_CONVERSATION_BUSY` while the job of a turn waits for its admission
   */
  async delete(id, options) {
    const { principal = ANONYMOUS } = checkOptions('delete', options, ['principal']);
    const space = this.#repository.of(principal);
    await this.#turns.turnSettled(space, id);
    const head = this.#repository.head(space, id);
    if (head === undefined) throw conversationNotFound();
    const job =
      head.jobId === undefined ? undefined : this.#lifecycle.jobs.get(head.jobId, principal);
    if (head.jobId !== undefined && job === undefined) throw conversationBusy(head.jobId);
    // A delete that is not on the disk would be undone by a crash.
    this.#store?.file.checkRoom();
    this.#repository.remove(space, id);
    if (job !== undefined) this.#lifecycle.cancel(job, 'client_request');
    // Waiting turns are rejected as not found.
    this.#turns.removed(space, id);
    await this.#store?.file.synced();
  }

  get #defaultTtlMs() {
    const { ttlMs } = this.#limits;
    return ttlMs === Infinity ? null : ttlMs;
  }

  /**
   * @param {string} principal
   * @param {(space: KvNamespace) => Head} add
   */
  async #add(principal, add) {
    this.#turns.checkOpen();
    this.#store?.file.checkRoom();
    this.#memory?.check('conversations', principal);
    const space = this.#repository.of(principal);
    const { id } = add(space);
    const made = this.#repository.read(space, id);
    try {
      await this.#store?.file.synced();
    } catch (error) {
      this.#repository.remove(space, id);
      throw error;
    }
    // A very short time to live may have expired already.
    if (made === undefined) throw conversationNotFound();
    return describe(made.head, made.messages);
  }
}

/**
 * @param {{title?: string, metadata?: Record<string, unknown>, ttl_s?: number}} request
 * @returns {Partial<import('./repository.js').Settings>}
 */
function settingsOf({ ttl_s: ttlS, ...rest }) {
  return { ...rest, ...(ttlS !== undefined && { ttlMs: ttlS * 1000 }) };
}
