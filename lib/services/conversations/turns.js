import { TurnQueues } from './turn-queue.js';
import { answerOf, wholeRequest } from './messages.js';
import { conversationBusy } from './errors.js';
import { draining } from '../../jobs/errors.js';
import { messagesOfTurn } from './requests.js';

/** @typedef {import('./messages.js').StoredMessage} StoredMessage */
/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../jobs/checked-request.js').CheckedRequest} CheckedRequest */
/** @typedef {import('../../primitives/kv/namespaces.js').KvNamespace} KvNamespace */

/**
 * Turns of conversations: a turn begins before its job exists, and ends with the job. Main thread;
 * `close()` ends it.
 *
 * A conversation has at most one running turn. The turn is stored before its job, and ends in one
 * transaction, exactly once, even if the process dies in between. A client that has read the
 * job's terminal event finds the turn ended: reads and the next turn wait for the hub's barrier.
 */
export class Turns {
  #repository;
  #queues;
  #hub;
  #store;
  #memory;
  #log;
  /** @type {Map<string, Promise<void>>} turns of ended jobs, until they are on the disk */
  #ending = new Map();
  /** Settles when the turns of an earlier process have ended. @type {Promise<void>} */
  #recovered;
  #closed = false;

  /**
   * @param {object} deps
   * @param {import('./repository.js').ConversationRepository} deps.repository
   * @param {import('./repository.js').ConversationLimits} deps.limits
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {import('../../jobs/storage/job-store.js').JobStore} [deps.store]
   * @param {import('../../internal/util/memory-budget.js').MemoryBudget} [deps.memory]
   * @param {import('../../internal/util/logger.js').Logger} deps.log
   */
  constructor({ repository, limits, hub, store, memory, log }) {
    this.#repository = repository;
    this.#queues = new TurnQueues(limits);
    this.#hub = hub;
    this.#store = store;
    this.#memory = memory;
    this.#log = log;
    this.#recovered = this.#recover().catch((/** @type {unknown} */ err) => {
      this.#log.error({ err }, 'turns of earlier not ended');
    });
  }

  /**
   * Begins the turn of a job that belongs to a conversation. The caller calls `rollback` when the
   * job is refused.
   * @param {JobRecord} record receives its whole request, and the conversation's id in `extra`
   * @param {import('../../internal/util/abort.js').Abortable} [signal] gives up waiting
   * @returns {Promise<CheckedRequest>} the request to the provider
   * @throws {import('../../internal/util/http-error.js').HttpError} `ERR_CONVERSATION_NOT_FOUND`,
   *   `ERR_CONVERSATION_BUSY` with the `jobId`, `ERR_CONVERSATION_TOO_LONG`,
   *   `ERR_CONVERSATIONS_FULL`, `ERR_INVALID_VALUE`, `ERR_DRAINING`
   */
  async begin(record, signal) {
    const request = /** @type {CheckedRequest} */ (record.request);
    const { conversation_id: id, on_busy: onBusy } = request;
    if (id === undefined) return request;
    this.checkOpen();
    // Checked before anything is written.
    this.#store?.file.checkRoom();
    this.#memory?.check('conversations', record.principal);
    const added = messagesOfTurn(request);
    const history = await this.#claim(record, id, added, { queues: onBusy === 'queue', signal });
    record.request = wholeRequest(request, history, added);
    record.extra = { ...record.extra, conversation_id: id };
    return record.request;
  }

  /**
   * @param {JobRecord} record
   * @param {string} id
   * @param {import('./requests.js').Messages} messages
   * @param {{queues: boolean, signal?: import('../../internal/util/abort.js').Abortable}} how
   * @returns {Promise<StoredMessage[]>} the earlier messages
   */
  async #claim(record, id, messages, { queues, signal }) {
    const space = this.#repository.of(record.principal);
    const name = space.prefix + id;
    const take = () => this.#repository.begin(space, id, record.id, messages);
    let outcome = take();
    if ('history' in outcome) return outcome.history;
    if (!queues) {
      await this.turnSettled(space, id);
      signal?.throwIfAborted();
      this.checkOpen();
      outcome = take();
      if ('history' in outcome) return outcome.history;
      throw conversationBusy(outcome.busy);
    }
    const busy = () => conversationBusy(this.#repository.head(space, id)?.jobId);
    signal?.throwIfAborted();
    if (this.#queues.full(name)) {
      throw conversationBusy(outcome.busy, 'Too many turns wait for this conversation.');
    }
    const claim = () => {
      const taken = take();
      if ('history' in taken) return taken.history;
      throw conversationBusy(taken.busy);
    };
    return this.#queues.wait(name, claim, { signal, late: busy });
  }

  /**
   * Undoes `begin`. Does nothing for a job without a turn, or whose turn has ended.
   * @param {JobRecord} record of a refused submission
   */
  rollback(record) {
    const id = record.extra?.conversation_id;
    if (typeof id !== 'string') return;
    const space = this.#repository.of(record.principal);
    if (this.#repository.end(space, id, record.id)) this.#queues.advance(space.prefix + id);
  }

  /**
   * Ends the turn of an ended job. A second call does nothing.
   * @param {JobRecord} record ended in this process or an earlier one
   */
  end(record) {
    const id = record.extra?.conversation_id;
    if (typeof id !== 'string') return;
    const space = this.#repository.of(record.principal);
    if (this.#repository.head(space, id)?.jobId !== record.id) return;
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
   * @param {KvNamespace} space
   * @param {string} id
   */
  async #end(record, space, id) {
    // Read the state before a purge can remove it.
    const asked = this.#hub.snapshot(record.handle, { items: true });
    // A turn whose submission was refused is dropped, even if its job has produced an answer.
    const accepted = await (record.written ?? Promise.resolve()).then(
      () => true,
      () => false,
    );
    const state = await asked;
    if (state === null) this.#log.error({ job_id: record.id }, 'the text of a turn is gone');
    const answer = accepted && state !== null ? answerOf(state) : undefined;
    if (this.#repository.end(space, id, record.id, answer)) this.#queues.advance(space.prefix + id);
    await this.#store?.file.synced();
  }

  /**
   * Resolves once the turns of all jobs whose terminal event a client may have read have ended.
   * @param {KvNamespace} space
   * @param {string} id
   */
  async turnSettled(space, id) {
    if (this.#repository.head(space, id)?.jobId !== undefined) {
      await this.#hub.barrier();
      await this.#recovered;
    }
    await this.#ending.get(space.prefix + id);
  }

  /**
   * Resolves when the turn of an ended job is written; at once for a job without a turn.
   * @param {import('../../jobs/job.js').JobRecord} record
   */
  async jobSettled({ principal, extra }) {
    const id = /** @type {string | undefined} */ (extra?.conversation_id);
    if (id !== undefined) await this.turnSettled(this.#repository.of(principal), id);
  }

  /**
   * Like `turnSettled`, for all conversations of one principal.
   * @param {KvNamespace} space
   */
  async allSettled(space) {
    if (this.#repository.list(space).some(({ jobId }) => jobId !== undefined)) {
      await this.#hub.barrier();
      await this.#recovered;
    }
    await this.#endings(space.prefix);
  }

  /**
   * Rejects the turns that wait for a deleted conversation.
   * @param {KvNamespace} space
   * @param {string} id
   */
  removed(space, id) {
    const name = space.prefix + id;
    while (this.#queues.has(name)) this.#queues.advance(name);
  }

  /** @param {string} prefix of the names of the turns to wait for */
  async #endings(prefix) {
    const names = [...this.#ending.keys()].filter((name) => name.startsWith(prefix));
    await Promise.all(names.map((name) => this.#ending.get(name)));
  }

  /**
   * Ends the turns of an earlier process: with the answer of their job, or without an answer if
   * the job is missing.
   */
  async #recover() {
    const turns = this.#repository.turns();
    await this.#store?.restored;
    await this.#endings('');
    for (const { space, id, jobId } of turns) {
      if (this.#repository.end(space, id, jobId)) this.#queues.advance(space.prefix + id);
    }
  }

  /** @throws {import('../../internal/util/http-error.js').HttpError} 503 once it is closed */
  checkOpen() {
    if (this.#closed) throw draining();
  }

  /** Refuses new turns and rejects waiting ones. */
  close() {
    this.#closed = true;
    this.#queues.close(draining);
  }

  /** Resolves when the turns of all ended jobs are written. */
  async idle() {
    await this.#recovered;
    while (this.#ending.size > 0) await this.#endings('');
  }
}
