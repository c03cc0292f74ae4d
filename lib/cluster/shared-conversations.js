import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

/** Wait before each retry to remove a conversation whose creation is uncertain, and the number of retries. */
const AGAIN_MS = 250;
const TRIES_MAX = 40;
/** Conversations that one script deletes. */
const CLEARED_AT_ONCE = 100;

/** The order of a conversation's fields in the answers of scripts: `CONV_FIELDS` of fragments/conversations.lua. */
const FIELDS = /** @type {const} */ ([
  ...['principal', 'title', 'metadata', 'created_ms', 'updated_ms', 'ttl_ms', 'expires_ms'],
  ...['count', 'size', 'charged', 'forked', 'job', 'asked_bytes'],
]);

/**
 * A conversation without its messages.
 * @typedef {object} SharedHead
 * @property {string} id
 * @property {string} [title]
 * @property {Record<string, unknown>} [metadata]
 * @property {number} createdMs Unix time of Redis, like all `*Ms`
 * @property {number} updatedMs
 * @property {number | null} ttlMs null: never expires
 * @property {number | null} expiresMs null: no expiry at present
 * @property {number} count of its messages
 * @property {number} bytes of its messages as JSON
 * @property {string} [jobId] of the running turn
 * @property {{id: string, count: number}} [forkedFrom]
 */

/**
 * `messages` and those of the running turn as JSON.
 * @typedef {{head: SharedHead, messages: any[], asked?: any[]}} SharedConversation
 */

/**
 * Refusals of scripts: `gone`, there is no such conversation; `busy`, its turn belongs to this job; `full`,
 * a limit is reached; `beyond`, it has only `count` messages.
 * @typedef {{refused: 'gone'} | {refused: 'busy', job: string} | {refused: 'beyond', count: number} |
 *   {refused: 'full', limit: 'count' | 'principal' | 'total'}} Refusal
 */

/** @typedef {{count: number, ofPrincipal: number, total: number}} Limits conversations, and their bytes */

/**
 * @param {string} id
 * @param {(string | null)[]} values of FIELDS
 * @returns {SharedHead}
 */
function headOf(id, values) {
  const fields = /** @type {Record<typeof FIELDS[number], string | null>} */ (
    Object.fromEntries(FIELDS.map((name, i) => [name, values[i]]))
  );
  const { title, metadata, forked, job } = fields;
  const [count, size] = [Number(fields.count), Number(fields.size)];
  return {
    id,
    ...(title !== null && { title: JSON.parse(title) }),
    ...(metadata !== null && { metadata: JSON.parse(metadata) }),
    ...{ createdMs: Number(fields.created_ms), updatedMs: Number(fields.updated_ms) },
    ttlMs: fields.ttl_ms === '' ? null : Number(fields.ttl_ms),
    expiresMs: fields.expires_ms === '' ? null : Number(fields.expires_ms),
    // Counted as one JSON array, with commas and brackets.
    ...{ count, bytes: count === 0 ? 0 : size + count + 1 },
    ...(job !== null && { jobId: job }),
    ...(forked !== null && { forkedFrom: JSON.parse(forked) }),
  };
}

/**
 * @param {string[]} texts
 * @returns {any[]}
 */
const parsed = (texts) => texts.map((text) => JSON.parse(text));

/**
 * @param {string} id
 * @param {[(string | null)[], string[]]} shown in the format of `conv_shown` of fragments/conversations.lua
 * @returns {SharedConversation}
 */
function conversationOf(id, [[asked, ...values], messages]) {
  const head = headOf(id, values);
  return {
    ...{ head, messages: parsed(messages) },
    ...(head.jobId !== undefined && { asked: parsed(JSON.parse(asked ?? '[]')) }),
  };
}

/** @param {string[]} answer of a script @returns {Refusal | undefined} undefined: none */
function refusalOf([word, detail]) {
  switch (word) {
    case 'OK':
      return undefined;
    case 'GONE':
      return { refused: 'gone' };
    case 'BUSY':
      return { refused: 'busy', job: detail };
    case 'BEYOND':
      return { refused: 'beyond', count: Number(detail) };
    default:
      return { refused: 'full', limit: /** @type {'count'} */ (detail) };
  }
}

/**
 * The conversations of a deployment, in Redis: each call is one script. Main thread; lives as long as its
 * cluster. For a watched conversation it emits an event with the conversation's id at the end of a turn and at the
 * deletion. Methods throw an HttpError: 503 `storage_unavailable`, 507 `insufficient_storage`.
 */
export class SharedConversations {
  #cluster;
  #calls;
  /** Watches by the id of a conversation. */
  #freed = new EventEmitter().setMaxListeners(0);

  /**
   * @param {object} deps
   * @param {import('./cluster.js').Cluster} deps.cluster
   * @param {import('./client/script-calls.js').ScriptCalls} deps.calls
   */
  constructor({ cluster, calls }) {
    this.#cluster = cluster;
    this.#calls = calls;
    cluster.on('published', (channel) => {
      const [, id] = /^conv:(.+)$/.exec(channel) ?? [];
      if (id !== undefined) this.#freed.emit(id);
    });
  }

  /** Redis's Unix time in milliseconds. */
  nowMs() {
    return this.#cluster.redisNowMs();
  }

  /**
   * @param {string} principal
   * @param {object} what
   * @param {string} what.id a new id
   * @param {string} [what.title]
   * @param {Record<string, unknown>} [what.metadata]
   * @param {number | null} what.ttlMs
   * @param {object[]} what.messages without their times
   * @param {Limits} limits
   * @returns {Promise<SharedConversation | Refusal>}
   */
  create(principal, { id, ttlMs, messages, ...settings }, limits) {
    const args = [ttlMs === null ? '' : ttlMs, JSON.stringify(asTexts(settings))];
    args.push(JSON.stringify(messages.map((message) => JSON.stringify(message))));
    return this.#make('create', [id], principal, limits, args);
  }

  /**
   * @param {string} principal
   * @param {object} what
   * @param {string} what.id a new id
   * @param {string} what.source conversation to copy messages from
   * @param {number} [what.at] number of messages to copy; default all
   * @param {string} [what.title] default, also for the following: the value of the source
   * @param {Record<string, unknown>} [what.metadata]
   * @param {number | null} [what.ttlMs]
   * @param {Limits} limits
   * @returns {Promise<SharedConversation | Refusal>}
   */
  fork(principal, { id, source, at, ...settings }, limits) {
    const args = [source, at ?? '', JSON.stringify(asTexts(settings))];
    return this.#make('fork', [id, source], principal, limits, args);
  }

  /**
   * @param {string} script
   * @param {string[]} ids first the id of the conversation to create
   * @param {string} principal
   * @param {Limits} limits
   * @param {(string | number)[]} more arguments
   * @returns {Promise<SharedConversation | Refusal>}
   */
  async #make(script, ids, principal, { count, ofPrincipal, total }, more) {
    const [id] = ids;
    const args = [id, principal, count, ofPrincipal, total, ...more];
    try {
      const answer = await this.#run(script, ids, args);
      return refusalOf(answer) ?? conversationOf(id, answer.slice(1));
    } catch (/** @type {any} */ error) {
      // The caller does not get the id, so nobody can use the conversation.
      if (error.uncertain) void this.#undo(id, principal);
      throw error;
    }
  }

  /**
   * @param {string} id
   * @param {string} principal
   */
  async #undo(id, principal) {
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      await sleep(AGAIN_MS, undefined, { ref: false });
      try {
        await this.#run('delete', [id], [id, principal, this.#calls.deadlineUs()]);
        return;
      } catch {
        // Redis is still away.
      }
    }
  }

  /**
   * @param {string} principal
   * @param {string} id
   * @returns {Promise<SharedConversation | undefined>}
   */
  async read(principal, id) {
    const [word, ...shown] = await this.#run('read', [id], [id, principal]);
    return word === 'GONE' ? undefined : conversationOf(id, /** @type {any} */ (shown));
  }

  /**
   * @param {string} principal
   * @param {{limit: number, after?: string}} page
   * @returns {Promise<{heads: SharedHead[], hasMore: boolean} | undefined>} latest activity first; undefined:
   *   `after` is no conversation of the principal
   */
  async list(principal, { limit, after = '' }) {
    const args = [principal, after, limit];
    const [word, more, ...rows] = await this.#calls.run(
      'conversations/list',
      [`convs:${principal}`],
      args,
    );
    if (word === 'UNKNOWN') return undefined;
    const heads = rows.map((/** @type {[string, (string | null)[]]} */ [id, values]) =>
      headOf(id, values),
    );
    return { heads, hasMore: more === '1' };
  }

  /**
   * @param {number} limit
   * @returns {Promise<{owner: string, head: SharedHead}[]>} the conversations of all principals with the
   *   latest activity
   */
  async recent(limit) {
    const [, ...rows] = await this.#calls.run('conversations/recent', ['convrecent'], [limit]);
    return rows.map((/** @type {[string, string[]]} */ [id, values]) => {
      return { owner: values[0], head: headOf(id, values) };
    });
  }

  /**
   * @param {string} principal
   * @param {string} id
   * @returns {Promise<{job: string | undefined} | Refusal>} the job of its running turn
   */
  async remove(principal, id) {
    const answer = await this.#run('delete', [id], [id, principal, '']);
    return refusalOf(answer) ?? { job: answer[1] || undefined };
  }

  /**
   * Deletes all conversations of a principal.
   * @param {string} principal
   */
  async clear(principal) {
    for (let count = CLEARED_AT_ONCE; count === CLEARED_AT_ONCE;) {
      const args = [principal, CLEARED_AT_ONCE];
      [, count] = await this.#calls.run('conversations/clear', [`convs:${principal}`], args);
    }
  }

  /**
   * The messages to send with the next turn; with a job, the messages that were sent with its turn.
   * @param {string} principal
   * @param {string} id
   * @param {string} [job]
   * @returns {Promise<{messages: any[], bytes: number} | Refusal>}
   */
  async history(principal, id, job = '') {
    const answer = await this.#run('history', [id], [id, principal, job]);
    if (answer[0] !== 'FREE') return /** @type {Refusal} */ (refusalOf(answer));
    return { messages: parsed(answer[2]), bytes: Number(answer[1]) };
  }

  /**
   * @param {string} script
   * @param {string[]} ids of the keys
   * @param {(string | number)[]} args
   * @returns {Promise<any>}
   */
  #run(script, ids, args) {
    const keys = ids.map((id) => `conv:${id}`);
    return this.#calls.run(`conversations/${script}`, keys, args);
  }

  /**
   * @param {string} id
   * @param {() => void} listener called when a turn may begin, or the conversation was deleted; calls may be
   *   lost
   * @returns {() => void} ends the watch
   */
  watch(id, listener) {
    const channel = `conv:${id}`;
    if (this.#freed.listenerCount(id) === 0) this.#cluster.listen(channel);
    this.#freed.on(id, listener);
    return () => {
      this.#freed.off(id, listener);
      if (this.#freed.listenerCount(id) === 0) this.#cluster.unlisten(channel);
    };
  }
}

/**
 * @param {{title?: string, metadata?: Record<string, unknown>, ttlMs?: number | null}} settings
 * @returns {Record<string, string>} in the format of the scripts
 */
function asTexts({ title, metadata, ttlMs }) {
  return {
    ...(title !== undefined && { title: JSON.stringify(title) }),
    ...(metadata !== undefined && { metadata: JSON.stringify(metadata) }),
    ...(ttlMs !== undefined && { ttl_ms: ttlMs === null ? '' : String(ttlMs) }),
  };
}
