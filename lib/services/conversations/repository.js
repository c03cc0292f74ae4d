import { byteLimits } from '../../primitives/kv/options.js';
import { randomId } from '../../internal/util/random-id.js';
import { checkPlace } from './requests.js';
import {
  conversationNotFound,
  conversationTooLong,
  principalFull,
  serverFull,
  tooManyConversations,
} from './errors.js';
import { stored } from './messages.js';

/** @typedef {import('../../primitives/kv/namespaces.js').KvNamespace} KvNamespace */
/** @typedef {import('../../primitives/kv/namespaces.js').NamespaceTransaction} NamespaceTransaction */
/** @typedef {import('./requests.js').Messages} Messages */

/** @typedef {import('./messages.js').StoredMessage} StoredMessage */

/**
 * @typedef {object} Head
 * @property {string} id
 * @property {string} [title]
 * @property {Record<string, unknown>} [metadata]
 * @property {number} createdMs Unix time, like all `*Ms` fields
 * @property {number} updatedMs time of the last change of its messages
 * @property {number | null} ttlMs null: never expires
 * @property {number | null} expiresMs null: no expiry at present
 * @property {number} count of its messages
 * @property {number} bytes of its messages as JSON
 * @property {string} [jobId] of the running turn
 * @property {{id: string, count: number}} [forkedFrom]
 */

/**
 * @typedef {object} Settings of a new conversation
 * @property {string} [title]
 * @property {Record<string, unknown>} [metadata]
 * @property {number | null} ttlMs
 */

/** @typedef {import('./messages.js').Answer} Answer */

const ID = /^conv_[A-Za-z0-9_-]{24}$/;

/** @param {string} id @returns {boolean} whether a conversation may have it */
export const isConversationId = (id) => typeof id === 'string' && ID.test(id);

/** 144 random bits: unguessable and unique. */
export const newConversationId = () => randomId('conv');

const headOf = (/** @type {string} */ id) => `c/${id}`;
const messagesOf = (/** @type {string} */ id) => `m/${id}`;
const turnOf = (/** @type {string} */ id) => `p/${id}`;

/** @param {{owner: string, head: Head}[]} heads sorted in place */
const latestFirst = (heads) => heads.sort((a, b) => b.head.updatedMs - a.head.updatedMs);

/** @param {number} ms */
const seconds = (ms) => Math.floor(ms / 1000);

/**
 * Conversations stored as keys and values; each change is one transaction. Main thread; all methods
 * are synchronous.
 *
 * A conversation has a head (`c/ID`), its messages as JSON (`m/ID`) and, while a turn is running,
 * that turn (`p/ID`), whose messages do not belong to the conversation yet. The head names the
 * turn's job. A conversation with such a job is busy, and the name ensures that a turn ends only
 * once.
 */
export class ConversationRepository {
  #area;
  #limits;
  #nowMs;

  /**
   * @param {import('../../primitives/kv/namespaces.js').KvPartition} area used only by this
   *   repository
   * @param {ConversationLimits} limits
   * @param {() => number} nowMs Unix time
   */
  constructor(area, limits, nowMs) {
    this.#area = area;
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /**
   * @param {string} principal
   * @returns {KvNamespace}
   */
  of(principal) {
    return this.#area.of(principal);
  }

  /**
   * @param {KvNamespace} space
   * @param {string} id
   * @returns {Head | undefined}
   */
  head(space, id) {
    return isConversationId(id) ? space.get(headOf(id))?.value : undefined;
  }

  /**
   * @param {KvNamespace} space
   * @param {string} id
   * @returns {{head: Head, messages: StoredMessage[], asked?: StoredMessage[]} | undefined} `asked`: the
   *   messages of the running turn
   */
  read(space, id) {
    if (!isConversationId(id)) return undefined;
    return space.transactNow((tx) => {
      /** @type {Head | undefined} */
      const head = tx.get(headOf(id))?.value;
      if (head === undefined) return undefined;
      const messages = messagesIn(tx, id);
      return { head, messages, ...(head.jobId !== undefined && { asked: askedIn(tx, id) }) };
    });
  }

  /**
   * @param {KvNamespace} space
   * @returns {Head[]} latest activity first
   */
  list(space) {
    const heads = Array.from(space.items(headOf('')), ({ value }) => /** @type {Head} */ (value));
    return heads.sort((a, b) => b.updatedMs - a.updatedMs || (a.id < b.id ? -1 : 1));
  }

  /**
   * Conversations of all principals.
   * @param {number} max maximum number to read
   * @returns {{heads: {owner: string, head: Head}[], truncated: boolean}} latest activity first;
   *   `truncated`: there are more, which may be later ones
   */
  heads(max) {
    const heads = [];
    for (const space of this.#area.used()) {
      for (const { value } of space.items(headOf(''))) {
        if (heads.length === max) return { heads: latestFirst(heads), truncated: true };
        heads.push({ owner: space.owner, head: /** @type {Head} */ (value) });
      }
    }
    return { heads: latestFirst(heads), truncated: false };
  }

  /**
   * @param {KvNamespace} space
   * @param {Settings & {messages: Messages}} what
   * @returns {Head}
   * @throws {import('../../internal/util/http-error.js').HttpError}
   */
  create(space, { messages, ...settings }) {
    const createdAt = seconds(this.#nowMs());
    const kept = messages.map((message) => stored(message, { createdAt }));
    return this.#add(space, settings, () => ({ messages: kept }));
  }

  /**
   * Creates a conversation with a copy of the messages of another one. Only whole turns are copied.
   * @param {KvNamespace} space
   * @param {string} id
   * @param {Partial<Settings>} settings
   * @param {(count: number) => number} takes returns the number of messages to copy; may throw
   * @returns {Head}
   * @throws {import('../../internal/util/http-error.js').HttpError}
   */
  fork(space, id, settings, takes) {
    const source = this.read(space, id);
    if (source === undefined) throw conversationNotFound();
    const { title, metadata, ttlMs } = source.head;
    const count = takes(source.messages.length);
    return this.#add(space, { title, metadata, ttlMs, ...settings }, () => ({
      messages: source.messages.slice(0, count),
      forkedFrom: { id, count },
    }));
  }

  /**
   * @param {KvNamespace} space
   * @param {Settings} settings
   * @param {() => {messages: StoredMessage[], forkedFrom?: Head['forkedFrom']}} content
   * @returns {Head}
   */
  #add(space, { title, metadata, ttlMs }, content) {
    const { maxPerPrincipal } = this.#limits;
    if (this.list(space).length >= maxPerPrincipal) {
      throw tooManyConversations(maxPerPrincipal);
    }
    const { messages, forkedFrom } = content();
    const nowMs = this.#nowMs();
    /** @type {Head} */
    const head = {
      id: newConversationId(),
      ...(title !== undefined && { title }),
      ...(metadata !== undefined && { metadata }),
      ...{ createdMs: nowMs, updatedMs: nowMs, ttlMs, expiresMs: null, count: 0, bytes: 0 },
      ...(forkedFrom && { forkedFrom }),
    };
    return this.#limited(space, (tx) => {
      const made = this.#write(tx, head, messages);
      // A fork may be as long as its source.
      if (forkedFrom === undefined) this.#checkLength(made.bytes);
      return made;
    });
  }

  /**
   * Begins a turn. The conversation does not expire while it runs.
   * @param {KvNamespace} space
   * @param {string} id
   * @param {string} jobId
   * @param {Messages} messages
   * @returns {{history: StoredMessage[]} | {busy: string}} the earlier messages; or the job of the
   *   running turn, in which case nothing has changed
   * @throws {import('../../internal/util/http-error.js').HttpError}
   */
  begin(space, id, jobId, messages) {
    if (!isConversationId(id)) throw conversationNotFound();
    return this.#limited(space, (tx) => {
      /** @type {Head | undefined} */
      const head = tx.get(headOf(id))?.value;
      if (head === undefined) throw conversationNotFound();
      if (head.jobId !== undefined) return { busy: head.jobId };
      checkPlace(messages, head.count);
      const turn = JSON.stringify({ jobId, createdAt: seconds(this.#nowMs()), messages });
      this.#checkLength(head.bytes + Buffer.byteLength(turn));
      const history = messagesIn(tx, id);
      // With a time to live, its messages are written again so that they expire with the head.
      const held = { ...head, jobId, expiresMs: null };
      tx.set(headOf(id), held, {});
      if (head.ttlMs !== null) tx.set(messagesOf(id), JSON.stringify(history), {});
      tx.set(turnOf(id), turn, {});
      return { history };
    });
  }

  /**
   * Ends a turn: adds its messages and the answer, or nothing if there is no answer. Does nothing
   * if the running turn is not this job's.
   * @param {KvNamespace} space
   * @param {string} id
   * @param {string} jobId
   * @param {Answer} [answer]
   * @returns {boolean} whether it was this job's turn
   */
  end(space, id, jobId, answer) {
    const operation = (/** @type {NamespaceTransaction} */ tx) => {
      /** @type {Head | undefined} */
      const found = tx.get(headOf(id))?.value;
      if (found?.jobId !== jobId) return false;
      const { jobId: _over, ...head } = found;
      const asked = askedIn(tx, id);
      const messages = messagesIn(tx, id);
      tx.delete(turnOf(id));
      if (answer === undefined) {
        this.#write(tx, head, messages);
        return true;
      }
      const nowMs = this.#nowMs();
      const { content, ...details } = answer;
      const createdAt = seconds(nowMs);
      messages.push(...asked, { role: 'assistant', content, createdAt, jobId, ...details });
      this.#write(tx, { ...head, updatedMs: nowMs }, messages);
      return true;
    };
    // Text already sent to a client is stored even beyond the limits; they apply to the next turn.
    return space.transactNow(operation, undefined, { limited: false });
  }

  /**
   * @param {KvNamespace} space
   * @param {string} id
   */
  remove(space, id) {
    space.transactNow((tx) => {
      for (const key of [headOf(id), messagesOf(id), turnOf(id)]) tx.delete(key);
    });
  }

  /**
   * The running turns.
   * @returns {{space: KvNamespace, id: string, jobId: string}[]}
   */
  turns() {
    const turns = [];
    for (const space of this.#area.used()) {
      for (const { key, value } of space.items(turnOf(''))) {
        const id = key.slice(turnOf('').length);
        turns.push({ space, id, jobId: JSON.parse(value).jobId });
      }
    }
    return turns;
  }

  /**
   * @param {NamespaceTransaction} tx
   * @param {Head} head of a conversation without a turn
   * @param {StoredMessage[]} messages all of them
   * @returns {Head} its current head
   */
  #write(tx, head, messages) {
    const json = JSON.stringify(messages);
    const { id, ttlMs } = head;
    const expiresMs = ttlMs === null ? null : this.#nowMs() + ttlMs;
    const bytes = messages.length === 0 ? 0 : Buffer.byteLength(json);
    const written = { ...head, expiresMs, count: messages.length, bytes };
    const options = ttlMs === null ? {} : { ttlMs };
    tx.set(headOf(id), written, options);
    tx.set(messagesOf(id), json, options);
    return written;
  }

  /** @param {number} bytes */
  #checkLength(bytes) {
    const { maxBytesEach } = this.#limits;
    if (bytes > maxBytesEach) throw conversationTooLong(maxBytesEach);
  }

  /**
   * @template T
   * @param {KvNamespace} space
   * @param {(tx: NamespaceTransaction) => T} operation that adds data
   * @returns {T}
   * @throws {import('../../internal/util/http-error.js').HttpError} 507
   */
  #limited(space, operation) {
    try {
      return space.transactNow(operation);
    } catch (/** @type {any} */ error) {
      if (error?.code !== 'ERR_KV_FULL') throw error;
      if (error.limit !== 'maxBytesPerPrincipal') throw serverFull(error);
      throw principalFull(this.#limits.maxBytesPerPrincipal, error);
    }
  }
}

/**
 * @param {NamespaceTransaction} tx
 * @param {string} id
 * @returns {StoredMessage[]}
 */
function messagesIn(tx, id) {
  return JSON.parse(tx.get(messagesOf(id))?.value ?? '[]');
}

/**
 * @param {NamespaceTransaction} tx
 * @param {string} id
 * @returns {StoredMessage[]} of the running turn
 */
function askedIn(tx, id) {
  const { messages, ...when } = JSON.parse(tx.get(turnOf(id))?.value ?? '{"messages":[]}');
  return messages.map((/** @type {Messages[number]} */ message) => stored(message, when));
}

/**
 * The option `conversations` of `createGateway`, checked.
 * @typedef {import('../../jobs/settings.js').Settings['conversations']} ConversationLimits
 */

/**
 * @param {ConversationLimits} limits
 * @returns {import('../../primitives/kv/options.js').KvPartitionLimits}
 */
export function partitionLimits({ maxBytes, maxBytesPerPrincipal }) {
  return byteLimits({ maxBytes, maxBytesPerPrincipal, maxKeyBytes: 64 });
}
