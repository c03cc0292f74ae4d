import { asJson } from '../../jobs/request.js';
import { checkConversationsQuery, checkCreate, checkFork } from './requests.js';
import { asQueryNumber, checkOptions, checkString } from '../../internal/util/validate.js';
import { shown } from './messages.js';
import { ANONYMOUS } from '../../jobs/policy/config.js';

/** @typedef {import('./repository.js').Head} Head */
/** @typedef {import('./messages.js').Message} Message */
/** @typedef {import('./messages.js').StoredMessage} StoredMessage */

/**
 * A conversation in the JavaScript API.
 * @typedef {object} Conversation
 * @property {string} id
 * @property {string} [title]
 * @property {Record<string, unknown>} [metadata]
 * @property {number} createdAt Unix seconds, like the two below
 * @property {number} updatedAt time of the last change of its messages
 * @property {number | null} expiresAt null: never expires, or a turn is running
 * @property {number} messageCount
 * @property {Message[]} [messages] absent in lists
 * @property {string} [busyJobId] the job of the running turn
 * @property {Message[]} [busyMessages] messages of the running turn, not part of the conversation
 *   yet; absent in lists
 * @property {{id: string, messageCount: number}} [forkedFrom]
 */

/** @param {{principal?: string}} options @returns {string} */
const principalOf = ({ principal = ANONYMOUS }) => checkString('principal', principal);

/** Any other value is not an id. @param {unknown} id @returns {string} */
const idOf = (id) => (typeof id === 'string' ? id : '');

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
 * Creates, reads, lists, forks and deletes conversations; their turns are jobs. Main thread.
 *
 * `gateway.conversations`.
 */
export class Conversations {
  #store;
  #limits;

  /**
   * @param {object} deps
   * @param {import('./store.js').ConversationStore} deps.store
   * @param {import('./repository.js').ConversationLimits} deps.limits
   */
  constructor({ store, limits }) {
    this.#store = store;
    this.#limits = limits;
  }

  /**
   * @param {import('./requests.js').CreateRequest} [request] the fields of `POST /v1/conversations`
   * @param {{principal?: string}} [options]
   * @returns {Promise<Conversation>}
   * @throws {import('../../internal/util/http-error.js').HttpError} `ERR_INVALID_VALUE` and the like,
   *   `ERR_CONVERSATION_TOO_LONG`, `ERR_CONVERSATIONS_FULL`
   */
  async create(request = {}, options) {
    const principal = principalOf(checkOptions('create', options, ['principal']));
    const { messages = [], ...rest } = checkCreate(asJson(request));
    const { ttlMs = this.#defaultTtlMs, ...settings } = settingsOf(rest);
    return described(await this.#store.create(principal, { ...settings, ttlMs, messages }));
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
    const principal = principalOf(checkOptions('fork', options, ['principal']));
    const { at, ...rest } = checkFork(asJson(request));
    return described(await this.#store.fork(principal, idOf(id), settingsOf(rest), at));
  }

  /**
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @returns {Promise<Conversation | undefined>} undefined when unknown, expired, or of another
   *   principal
   */
  async get(id, options) {
    const principal = principalOf(checkOptions('get', options, ['principal']));
    const found = await this.#store.read(principal, idOf(id));
    return found && described(found);
  }

  /**
   * A page of conversations without messages, latest activity first.
   * @param {{limit?: number, after?: string, principal?: string}} [options] `limit` 1 to 100,
   *   default 20; `after` the id of the last conversation of the previous page
   * @returns {Promise<{data: Conversation[], hasMore: boolean}>}
   * @throws {import('../../internal/util/http-error.js').HttpError} 400
   */
  async list(options) {
    const known = ['limit', 'after', 'principal'];
    const given = checkOptions('list', options, known);
    const { limit, after } = given;
    const query = checkConversationsQuery({ limit: asQueryNumber(limit), after });
    const { heads, hasMore } = await this.#store.list(principalOf(given), query);
    return { data: heads.map((head) => describe(head)), hasMore };
  }

  /**
   * The latest conversations of all principals, without messages; for administrators.
   * @param {{limit: number, scanMax: number}} options
   * @returns {Promise<{data: (Conversation & {owner: string, bytes: number})[], truncated: boolean}>}
   *   `truncated`: only `scanMax` of them were read, and later ones may be missing
   */
  async recent(options) {
    const { heads, truncated } = await this.#store.recent(options);
    const data = heads.map(({ owner, head }) => ({ ...describe(head), owner, bytes: head.bytes }));
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
    const principal = principalOf(checkOptions('delete', options, ['principal']));
    await this.#store.remove(principal, idOf(id));
  }

  get #defaultTtlMs() {
    const { ttlMs } = this.#limits;
    return ttlMs === Infinity ? null : ttlMs;
  }
}

/** @param {import('./store.js').Whole} whole @returns {Conversation} */
const described = ({ head, messages, asked }) => describe(head, messages, asked);

/**
 * @param {{title?: string, metadata?: Record<string, unknown>, ttl_s?: number}} request
 * @returns {Partial<import('./repository.js').Settings>}
 */
function settingsOf({ ttl_s: ttlS, ...rest }) {
  return { ...rest, ...(ttlS !== undefined && { ttlMs: ttlS * 1000 }) };
}
