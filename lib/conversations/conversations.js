/**
 * Conversations: histories that jobs are sent with, and that their prompts and answers are added to.
 * Main thread; `close()` ends it.
 *
 * One turn of a conversation is under way at a time. It is written down before its job exists, and it
 * ends with the job: in one transaction, and once, also when the process dies in between. Whoever has
 * heard of the job's end finds the turn ended too: reads and the next turn wait until all that the
 * reactors have done has been heard of here.
 */
import { ConversationBook } from './book.js';
import { Lines } from './lines.js';
import { asJson } from '../schema.js';
import { badRequest } from '../http-errors.js';
import { checkConversationsQuery, checkCreate, checkFork, messagesOfTurn } from './schema.js';
import { conversationBusy, conversationNotFound } from './errors.js';
import { draining } from '../admission.js';
import { kAnonymous } from '../access-config.js';

/** @typedef {import('./book.js').Head} Head */
/** @typedef {import('./book.js').Message} Message */
/** @typedef {import('../job-table.js').JobRecord} JobRecord */
/** @typedef {import('../schema.js').JobRequest} JobRequest */
/** @typedef {import('../kv/spaces.js').KvSpace} KvSpace */

/**
 * A conversation as the JavaScript API shows it.
 * @typedef {object} Conversation
 * @property {string} id
 * @property {string} [title]
 * @property {Record<string, unknown>} [metadata]
 * @property {number} createdAt Unix seconds, as the two below
 * @property {number} updatedAt when its messages changed
 * @property {number | null} expiresAt null: it stays, or a turn is under way
 * @property {number} messageCount
 * @property {Message[]} [messages] absent in lists
 * @property {string} [busyJobId] the job whose turn is under way
 * @property {Message[]} [busyMessages] what it is asked, no part of the conversation yet; absent in lists
 * @property {{id: string, messageCount: number}} [forkedFrom]
 */

/** @param {number} ms */
const seconds = (ms) => Math.floor(ms / 1000);

/**
 * @param {Head} head
 * @param {Message[]} [messages]
 * @param {Message[]} [asked]
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
    ...(messages !== undefined && { messages }),
    ...(jobId !== undefined && { busyJobId: jobId }),
    ...(asked && { busyMessages: asked }),
    ...(forkedFrom && { forkedFrom: { id: forkedFrom.id, messageCount: forkedFrom.count } }),
  };
}

/**
 * What is kept of an ended job.
 * @param {any} state the hub's last word, with the text
 * @returns {import('./book.js').Answer | undefined} undefined: its turn has not been
 */
function answerOf({ status, reason, text = '', text_truncated: textTruncated }) {
  const truncated = textTruncated === true && { textTruncated };
  if (status === 'completed') {
    return { content: text, finishReason: reason === 'length' ? 'length' : 'stop', ...truncated };
  }
  // What was said before somebody stopped it was read; where nothing was, there is no turn.
  if (status !== 'cancelled' || text === '') return undefined;
  return { content: text, finishReason: 'cancelled', ...truncated };
}

/** See the head of this file. */
export class Conversations {
  #book;
  #lines;
  #limits;
  #hub;
  #jobs;
  #store;
  #told;
  #cancel;
  #log;
  /** @type {Map<string, Promise<void>>} turns whose jobs have ended, until they are on the disk */
  #ending = new Map();
  /** Settles when the turns of an earlier process have ended. @type {Promise<void>} */
  #recovered;
  #closed = false;

  /**
   * @param {object} parts
   * @param {import('../kv/spaces.js').KvArea} parts.area for nothing else
   * @param {import('./options.js').ConversationLimits} parts.limits
   * @param {() => number} parts.unixMs
   * @param {import('../job-hub.js').JobHub} parts.hub
   * @param {import('../job-table.js').JobTable} parts.jobs
   * @param {import('../stores/job-store.js').JobStore} [parts.store]
   * @param {() => Promise<unknown>} parts.told resolves when all endings so far have been heard of
   * @param {(record: JobRecord) => void} parts.cancel ends a job
   * @param {import('../log.js').Logger} parts.log
   */
  constructor({ area, limits, unixMs, hub, jobs, store, told, cancel, log }) {
    this.#book = new ConversationBook(area, limits, unixMs);
    this.#lines = new Lines(limits);
    this.#limits = limits;
    this.#hub = hub;
    this.#jobs = jobs;
    this.#store = store;
    this.#told = told;
    this.#cancel = cancel;
    this.#log = log;
    this.#recovered = this.#recover();
  }

  // ---------------------------------------------------------------- what callers do

  /**
   * @param {import('./schema.js').CreateRequest} [request] the fields of `POST /v1/conversations`
   * @param {{principal?: string}} [options]
   * @returns {Promise<Conversation>}
   * @throws {import('../http-errors.js').HttpError} `ERR_INVALID_VALUE` and the like,
   *   `ERR_CONVERSATION_TOO_LONG`, `ERR_CONVERSATIONS_FULL`
   */
  async create(request = {}, { principal = kAnonymous } = {}) {
    const { messages = [], ...rest } = checkCreate(asJson(request));
    const { ttlMs = this.#defaultTtlMs, ...settings } = settingsOf(rest);
    return this.#add(principal, (space) =>
      this.#book.create(space, { ...settings, ttlMs, messages }),
    );
  }

  /**
   * A new conversation that begins as this one is now; a turn that is under way is not in it.
   * @param {string} id
   * @param {import('./schema.js').ForkRequest} [request]
   * @param {{principal?: string}} [options]
   * @returns {Promise<Conversation>}
   * @throws {import('../http-errors.js').HttpError} `ERR_CONVERSATION_NOT_FOUND`, and as `create`
   */
  async fork(id, request = {}, { principal = kAnonymous } = {}) {
    const { at, ...rest } = checkFork(asJson(request));
    const settings = settingsOf(rest);
    const space = this.#book.of(principal);
    await this.#heard(space, id);
    return this.#add(principal, () =>
      this.#book.fork(space, id, settings, (count) => {
        if (at === undefined || at <= count) return at ?? count;
        throw badRequest('invalid_value', 'at', `at must be at most ${count}, its messages.`);
      }),
    );
  }

  /**
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @returns {Promise<Conversation | undefined>} undefined when unknown, expired, or somebody else's
   */
  async get(id, { principal = kAnonymous } = {}) {
    const space = this.#book.of(principal);
    await this.#heard(space, id);
    const found = this.#book.read(space, id);
    return found && describe(found.head, found.messages, found.asked);
  }

  /**
   * A page, the newest activity first, without messages.
   * @param {{limit?: number, after?: string, principal?: string}} [options] `limit` 1 to 100, default
   *   20; `after` the id of the last conversation of the page before
   * @returns {Promise<{data: Conversation[], hasMore: boolean}>}
   * @throws {import('../http-errors.js').HttpError} 400
   */
  async list({ limit, after, principal = kAnonymous } = {}) {
    const asked = { limit: limit === undefined ? undefined : String(limit), after };
    const query = checkConversationsQuery(asked);
    const space = this.#book.of(principal);
    if (this.#book.list(space).some(({ jobId }) => jobId !== undefined)) {
      await this.#told();
      await this.#recovered;
    }
    await this.#endings(space.prefix);
    const heads = this.#book.list(space);
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
   * A turn that is under way ends: its job is cancelled.
   * @param {string} id
   * @param {{principal?: string}} [options]
   * @throws {import('../http-errors.js').HttpError} `ERR_CONVERSATION_NOT_FOUND`;
   *   `ERR_CONVERSATION_BUSY` while the job of a turn waits for its admission
   */
  async delete(id, { principal = kAnonymous } = {}) {
    const space = this.#book.of(principal);
    await this.#heard(space, id);
    const head = this.#book.head(space, id);
    if (head === undefined) throw conversationNotFound();
    const job = head.jobId === undefined ? undefined : this.#jobs.get(head.jobId, principal);
    if (head.jobId !== undefined && job === undefined) throw conversationBusy(head.jobId);
    this.#book.remove(space, id);
    if (job !== undefined) this.#cancel(job);
    // Those who wait for it hear that it is gone.
    while (this.#lines.has(space.prefix + id)) this.#lines.advance(space.prefix + id);
    await this.#store?.synced();
  }

  get #defaultTtlMs() {
    const { ttlMs } = this.#limits;
    return ttlMs === Infinity ? null : ttlMs;
  }

  /**
   * @param {string} principal
   * @param {(space: KvSpace) => Head} add
   */
  async #add(principal, add) {
    this.#checkOpen();
    this.#store?.checkRoom();
    const space = this.#book.of(principal);
    const { id } = add(space);
    const made = this.#book.read(space, id);
    try {
      await this.#store?.synced();
    } catch (error) {
      this.#book.remove(space, id);
      throw error;
    }
    // A time to live of next to nothing may be over.
    if (made === undefined) throw conversationNotFound();
    return describe(made.head, made.messages);
  }

  // ---------------------------------------------------------------- turns

  /**
   * Begins the turn that a job is, if it is one. Whoever calls this calls `release` where the job
   * does not come to be.
   * @param {JobRecord} record given its whole request, and the conversation's id as `extra`
   * @param {AbortSignal} [signal] gives up waiting
   * @returns {Promise<JobRequest>} what the provider is asked
   * @throws {import('../http-errors.js').HttpError} `ERR_CONVERSATION_NOT_FOUND`,
   *   `ERR_CONVERSATION_BUSY` with the `jobId`, `ERR_CONVERSATION_TOO_LONG`,
   *   `ERR_CONVERSATIONS_FULL`, `ERR_INVALID_VALUE`, `ERR_DRAINING`
   */
  async begin(record, signal) {
    const request = /** @type {JobRequest} */ (record.request);
    const { conversation_id: id, on_busy: onBusy, prompt: _prompt, ...rest } = request;
    if (id === undefined) return request;
    this.#checkOpen();
    const added = messagesOfTurn(request);
    const history = await this.#claim(record, id, added, { queues: onBusy === 'queue', signal });
    const before = history.map(({ role, content }) => ({ role, content }));
    record.request = { ...rest, messages: [...before, ...added] };
    record.extra = { ...record.extra, conversation_id: id };
    return record.request;
  }

  /**
   * @param {JobRecord} record
   * @param {string} id
   * @param {import('./schema.js').Messages} messages
   * @param {{queues: boolean, signal?: AbortSignal}} how
   * @returns {Promise<Message[]>} those before
   */
  async #claim(record, id, messages, { queues, signal }) {
    const space = this.#book.of(record.principal);
    const name = space.prefix + id;
    const take = () => this.#book.begin(space, id, record.id, messages);
    let outcome = take();
    if ('history' in outcome) return outcome.history;
    if (!queues) {
      await this.#heard(space, id);
      signal?.throwIfAborted();
      this.#checkOpen();
      outcome = take();
      if ('history' in outcome) return outcome.history;
      throw conversationBusy(outcome.busy);
    }
    const busy = () => conversationBusy(this.#book.head(space, id)?.jobId);
    signal?.throwIfAborted();
    if (this.#lines.full(name)) {
      throw conversationBusy(outcome.busy, 'Too many turns wait for this conversation.');
    }
    const claim = () => {
      const taken = take();
      if ('history' in taken) return taken.history;
      throw conversationBusy(taken.busy);
    };
    return this.#lines.wait(name, claim, { signal, late: busy });
  }

  /**
   * Undoes `begin`. May be called for any job, also where its turn has ended.
   * @param {JobRecord} record that does not come to be
   */
  release(record) {
    const id = record.extra?.conversation_id;
    if (typeof id !== 'string') return;
    const space = this.#book.of(record.principal);
    if (this.#book.end(space, id, record.id)) this.#lines.advance(space.prefix + id);
  }

  /**
   * A job has ended, now or in an earlier process; may be told twice.
   * @param {JobRecord} record
   */
  onEnded(record) {
    const id = record.extra?.conversation_id;
    if (typeof id !== 'string') return;
    const space = this.#book.of(record.principal);
    if (this.#book.head(space, id)?.jobId !== record.id) return;
    const name = space.prefix + id;
    const ending = this.#end(record, space, id).catch((/** @type {unknown} */ err) => {
      this.#log.error({ err, job_id: record.id, conversation_id: id }, 'turn not written');
    });
    this.#ending.set(name, ending);
    void ending.then(() => {
      if (this.#ending.get(name) === ending) this.#ending.delete(name);
    });
  }

  /**
   * @param {JobRecord} record
   * @param {KvSpace} space
   * @param {string} id
   */
  async #end(record, space, id) {
    // Asked for before anything is purged to make room.
    const asked = this.#hub.snapshot(record.handle);
    // One whose submission is refused after all has not been, whatever came of it.
    const accepted = await (record.written ?? Promise.resolve()).then(
      () => true,
      () => false,
    );
    const state = await asked;
    if (state === null) this.#log.error({ job_id: record.id }, 'the text of a turn is gone');
    const answer = accepted && state !== null ? answerOf(state) : undefined;
    if (this.#book.end(space, id, record.id, answer)) this.#lines.advance(space.prefix + id);
    await this.#store?.synced();
  }

  /**
   * Resolves when a turn whose job a client may know to have ended has ended too.
   * @param {KvSpace} space
   * @param {string} id
   */
  async #heard(space, id) {
    if (this.#book.head(space, id)?.jobId !== undefined) {
      await this.#told();
      await this.#recovered;
    }
    await this.#ending.get(space.prefix + id);
  }

  /** @param {string} prefix of the names of those to wait for */
  async #endings(prefix) {
    const names = [...this.#ending.keys()].filter((name) => name.startsWith(prefix));
    await Promise.all(names.map((name) => this.#ending.get(name)));
  }

  /** Ends the turns of an earlier process: by their jobs, or where there is none without an answer. */
  async #recover() {
    const turns = this.#book.turns();
    await this.#store?.restored;
    await this.#endings('');
    for (const { space, id, jobId } of turns) {
      if (this.#book.end(space, id, jobId)) this.#lines.advance(space.prefix + id);
    }
  }

  // ---------------------------------------------------------------- the end

  #checkOpen() {
    if (this.#closed) throw draining();
  }

  /** From now on no turn begins; those who wait for theirs are refused. */
  close() {
    this.#closed = true;
    this.#lines.close(draining);
  }

  /** Resolves when the turns of all jobs that have ended are written. */
  async idle() {
    await this.#recovered;
    while (this.#ending.size > 0) await this.#endings('');
  }
}

/**
 * @param {{title?: string, metadata?: Record<string, unknown>, ttl_s?: number}} request
 * @returns {Partial<import('./book.js').Settings>}
 */
function settingsOf({ ttl_s: ttlS, ...rest }) {
  return { ...rest, ...(ttlS !== undefined && { ttlMs: ttlS * 1000 }) };
}
