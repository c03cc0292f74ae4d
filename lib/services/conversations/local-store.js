import { beyondMessages, conversationBusy, conversationNotFound, unknownAfter } from './errors.js';

/** @typedef {import('./store.js').ConversationStore} ConversationStore */
/** @typedef {import('./repository.js').Head} Head */
/** @typedef {import('../../primitives/kv/namespaces.js').KvNamespace} KvNamespace */

/**
 * The conversations of a gateway with a single process, in memory or in its data file. Main thread.
 * @implements {ConversationStore}
 */
export class LocalStore {
  #repository;
  #turns;
  #store;
  #memory;
  #lifecycle;

  /**
   * @param {object} deps
   * @param {import('./repository.js').ConversationRepository} deps.repository
   * @param {import('./turns.js').Turns} deps.turns
   * @param {import('../../jobs/execution/lifecycle.js').JobLifecycle} deps.lifecycle
   * @param {import('../../jobs/storage/job-store.js').JobStore} [deps.store]
   * @param {import('../../internal/util/memory-budget.js').MemoryBudget} [deps.memory]
   */
  constructor({ repository, turns, lifecycle, store, memory }) {
    this.#repository = repository;
    this.#turns = turns;
    this.#store = store;
    this.#memory = memory;
    this.#lifecycle = lifecycle;
  }

  /** @type {ConversationStore['create']} */
  create(principal, request) {
    return this.#add(principal, (space) => this.#repository.create(space, request));
  }

  /** @type {ConversationStore['fork']} */
  async fork(principal, id, settings, at) {
    await this.#turns.turnSettled(this.#repository.of(principal), id);
    return this.#add(principal, (space) =>
      this.#repository.fork(space, id, settings, (count) => {
        if (at === undefined || at <= count) return at ?? count;
        throw beyondMessages(count);
      }),
    );
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
    return made;
  }

  /** @type {ConversationStore['read']} */
  async read(principal, id) {
    const space = this.#repository.of(principal);
    await this.#turns.turnSettled(space, id);
    return this.#repository.read(space, id);
  }

  /** @type {ConversationStore['list']} */
  async list(principal, { limit, after }) {
    const space = this.#repository.of(principal);
    await this.#turns.allSettled(space);
    const heads = this.#repository.list(space);
    const start = after === undefined ? 0 : heads.findIndex(({ id }) => id === after) + 1;
    if (after !== undefined && start === 0) throw unknownAfter();
    const page = heads.slice(start, start + limit);
    return { heads: page, hasMore: start + page.length < heads.length };
  }

  /** @type {ConversationStore['recent']} */
  async recent({ limit, scanMax }) {
    const { heads, truncated } = this.#repository.heads(scanMax);
    return { heads: heads.slice(0, limit), truncated };
  }

  /** @type {ConversationStore['remove']} */
  async remove(principal, id) {
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
}
