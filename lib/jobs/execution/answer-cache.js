import { EventEmitter } from 'node:events';
import { LruTtlCache } from '../../primitives/cache/lru-ttl-cache.js';
import { Retained } from '../retained.js';
import { SharedAnswer } from './shared-answer.js';
import { draining, overloaded } from '../errors.js';
import { estimatePromptTokens } from '../prompt-tokens.js';
import { whenAborted } from '../../internal/util/abort.js';

/** @typedef {import('../job.js').JobRecord} JobRecord */
/** @typedef {import('../job.js').CacheResult} CacheResult */

/**
 * Queues a new answer. `onAccepted` is called once it is queued, before dispatch.
 * @typedef {(answer: SharedAnswer, onAccepted: () => void) => Promise<void>} Enqueue
 */

/** The hub keeps the log longer than the cache entry by this, so that the entry expires first. */
const HUB_GRACE_MS = 1;

/** @param {SharedAnswer} answer */
const hasFace = ({ members }) => [...members].some(({ extra }) => extra?.face !== undefined);

/**
 * @typedef {object} AnswerCacheOptions
 * @property {number} maxEntries finished answers
 * @property {number} maxBytes of finished answers
 * @property {number} ttlMs
 * @property {number} maxJoined maximum concurrent jobs that share a running answer begun by another job
 */

/**
 * Shares answers between jobs with the same request: jobs join a running answer from its first
 * token, or replay a finished one. Main thread; `close()` ends it.
 *
 * A hidden job, the SharedAnswer, produces each answer; every job that shares it, the first one
 * included, follows its log in the hub. Each job can thus be cancelled, time out or lose its
 * readers independently; when the last one has ended, the answer is cancelled. The LruTtlCache
 * decides how long a finished answer stays in the hub.
 *
 * Emits `ended` once per answer, when it ends or is not admitted (then `answer.final` is
 * undefined).
 * @extends {EventEmitter<{ended: [answer: SharedAnswer]}>}
 */
export class AnswerCache extends EventEmitter {
  #hub;
  #lifecycle;
  #maxJoined;
  /** @type {Map<string, SharedAnswer>} running answers that may be joined */
  #running = new Map();
  /** @type {LruTtlCache<string, SharedAnswer>} finished answers that may be replayed */
  #kept;
  /** @type {Retained<SharedAnswer>} the same, by principal */
  #retained = new Retained();
  #memory;
  /** @type {Map<number, SharedAnswer>} all answers in the hub */
  #byHandle = new Map();
  /** Number of jobs that share a running answer begun by another job. */
  #joined = 0;

  /**
   * @param {object} deps
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {import('./lifecycle.js').JobLifecycle} deps.lifecycle of the jobs that share answers
   * @param {AnswerCacheOptions} deps.options
   * @param {import('../../internal/util/memory-budget.js').MemoryBudget} [deps.memory] default: none
   * @param {import('../../internal/time/clock.js').ManualClock} [deps.clock]
   */
  constructor({ hub, lifecycle, options, memory, clock }) {
    super();
    this.#memory = memory;
    memory?.addHolder({
      oldest: (principal) => this.#retained.oldestOf(principal)?.endedAt,
      evict: (principal) => {
        const answer = this.#retained.oldestOf(principal);
        if (answer !== undefined) this.#kept.delete(answer.key);
      },
    });
    this.#hub = hub;
    this.#lifecycle = lifecycle;
    this.#maxJoined = options.maxJoined;
    hub.events.on('ended', (handle, state) => this.#onEnded(handle, state));
    hub.events.on('purged', (handle) => this.#onPurged(handle));
    lifecycle.on('ended', (record) => this.leave(record));
    lifecycle.on('dropped', (record) => this.leave(record));
    const { maxEntries, maxBytes, ttlMs } = options;
    this.#kept = new LruTtlCache({
      maxEntries,
      maxBytes,
      ttlMs,
      clock,
      onEvict: (_key, answer) => {
        answer.kept = false;
        this.#retained.delete(answer);
        this.#memory?.retain(answer.principal, -answer.retainedBytes);
        answer.retainedBytes = 0;
        this.#evict(answer);
      },
    });
  }

  /**
   * `entries` counts answers that may be replayed, `running` those that may be joined, `answers`
   * all answers in the hub, and `joined` jobs.
   */
  get stats() {
    const { size: entries, bytes } = this.#kept;
    const [running, answers] = [this.#running.size, this.#byHandle.size];
    return { entries, bytes, running, answers, joined: this.#joined };
  }

  /**
   * Assigns an answer to a job: a finished, a running, or a new one. Resolves when the job exists;
   * `record.cache` names the kind.
   * @param {JobRecord} record
   * @param {import('./cache-policy.js').CachePlan} plan
   * @param {object} options
   * @param {import('../../internal/util/abort.js').Abortable} [options.signal] cancels the wait; not aborted yet
   * @param {(answer: SharedAnswer) => void} options.reserve reserves the cost of a new answer; throws
   *   if refused
   * @param {() => void} options.share reserves the cost of sharing an answer; throws if refused
   * @param {Enqueue} options.enqueue
   * @throws {import('../../internal/util/http-error.js').HttpError} if there is no room; the job
   *   does not exist then
   */
  async serve(record, plan, { signal, reserve, share, enqueue }) {
    try {
      let known = plan.refresh ? undefined : this.#find(plan.key);
      while (known !== undefined) {
        share();
        if (await this.#share(record, known, known.kept ? 'hit' : 'join', signal)) return;
        signal?.throwIfAborted();
        // Its beginning was dropped, or it was being evicted; another job may have begun a new
        // answer.
        const now = this.#find(plan.key);
        if (now === known) break;
        known = now;
      }
      const answer = new SharedAnswer(record, plan);
      // Reserve before other jobs may join, so that this job's limits cannot refuse them.
      try {
        reserve(answer);
      } catch (error) {
        answer.reservation?.release();
        throw error;
      }
      this.#running.set(plan.key, answer);
      const begin = () => this.#admit(answer, enqueue);
      if (!(await this.#share(record, answer, 'miss', signal, begin))) throw overloaded();
    } catch (error) {
      if (record.accepted) this.#lifecycle.forget(record);
      throw error;
    }
  }

  /**
   * @param {import('./cache-policy.js').CachePlan} plan
   * @returns {boolean} whether a job with this plan would begin an answer now
   */
  begins(plan) {
    return plan.refresh || this.#find(plan.key) === undefined;
  }

  /** @param {string} key */
  #find(key) {
    return this.#running.get(key) ?? this.#kept.get(key);
  }

  /**
   * @param {SharedAnswer} answer
   * @param {Enqueue} enqueue
   */
  async #admit(answer, enqueue) {
    try {
      await enqueue(answer, () => this.#accept(answer));
      // If every job left just before room became free, the queue drops the answer.
      if (!answer.accepted) answer.abort.throwIfAborted();
    } catch (error) {
      if (!answer.accepted) this.#end(answer, null);
      this.#removeFromIndex(answer);
      throw error;
    }
    // The new answer was admitted, so it replaces the kept one.
    if (this.#running.get(answer.key) === answer) this.#kept.delete(answer.key);
  }

  /**
   * Creates the log of an answer that is in the queue, and the logs of the jobs that wait for it.
   * @param {SharedAnswer} answer
   */
  #accept(answer) {
    if (answer.abort.aborted) return;
    const first = [...answer.members].find((record) => record.accepted);
    answer.handle = this.#hub.create({
      jobId: answer.id,
      // It has no readers and no time limit of its own; those of its members apply.
      onDisconnect: 'continue',
      disconnectGraceMs: 0,
      maxWallMs: Infinity,
      promptTokens: estimatePromptTokens(answer.request ?? {}),
      retentionMs: answer.ttlMs + HUB_GRACE_MS,
      // The log of a member with a face is whole, so it needs the whole answer.
      ...(hasFace(answer) && { whole: true }),
      near: first?.handle,
    });
    this.#byHandle.set(answer.handle, answer);
    for (const record of answer.members) this.#follow(record, answer);
  }

  /**
   * @param {JobRecord} record
   * @param {SharedAnswer} answer in the hub
   * @returns {Promise<boolean | null>} see `JobHub.follow`
   */
  #follow(record, answer) {
    if (record.following === undefined) {
      if (!record.accepted) this.#lifecycle.accept(record);
      answer.deadlineMs = Math.max(answer.deadlineMs, record.deadlineMs);
      if (answer.attempts > 0 && !answer.ended && !record.ended) {
        this.#lifecycle.joinAttempt(record);
      }
      record.following = this.#hub.follow(record.handle, answer.handle);
    }
    return record.following;
  }

  /**
   * @param {JobRecord} record
   * @param {SharedAnswer} answer
   * @param {CacheResult} cache
   * @param {import('../../internal/util/abort.js').Abortable} [signal] not aborted yet
   * @param {() => Promise<void>} [begin] starts the admission of a new answer
   * @returns {Promise<boolean>} false: this answer cannot serve the job
   */
  async #share(record, answer, cache, signal, begin) {
    if (cache === 'join' && this.#joined >= this.#maxJoined) throw overloaded();
    record.cache = cache;
    record.answer = answer;
    record.following = undefined;
    answer.members.add(record);
    if (cache === 'join') this.#joined += 1;
    answer.joining += 1;
    if (begin !== undefined) {
      answer.admitted = begin();
      // Waiting jobs receive the rejection; possibly none is left.
      answer.admitted.catch(() => {});
    }
    try {
      await this.#admission(record, answer, signal);
      const followed = await this.#follow(record, answer);
      if (followed === null) throw draining();
      if (!followed) this.leave(record);
      return followed;
    } catch (error) {
      this.leave(record);
      throw error;
    } finally {
      answer.joining -= 1;
      this.#evict(answer);
    }
  }

  /**
   * Resolves when the answer has been admitted. A job whose wait is aborted before leaves
   * synchronously, because a job in the hub exists even without a waiting caller.
   * @param {JobRecord} record
   * @param {SharedAnswer} answer
   * @param {import('../../internal/util/abort.js').Abortable} [signal]
   */
  async #admission(record, answer, signal) {
    let release = () => {};
    const givenUp = new Promise((_resolve, reject) => {
      release = whenAborted(signal, () => {
        if (record.following !== undefined) return;
        this.leave(record);
        reject(signal?.reason);
      });
    });
    try {
      await Promise.race([answer.admitted, givenUp]);
    } finally {
      release();
    }
    if (record.following === undefined) signal?.throwIfAborted();
  }

  /**
   * Removes a job that has ended or no longer needs its answer. After the last job the answer is
   * cancelled.
   * @param {JobRecord} record
   */
  leave(record) {
    const answer = /** @type {SharedAnswer | undefined} */ (record.answer);
    if (answer === undefined || !answer.members.delete(record)) return;
    if (record.cache === 'join') this.#joined -= 1;
    if (answer.members.size > 0 || answer.ended) return;
    this.#removeFromIndex(answer);
    if (answer.accepted) this.#lifecycle.cancel(answer, 'client_request');
    else answer.abort.abort();
  }

  /**
   * @param {SharedAnswer} answer
   * @param {import('../../streams/types.js').JobState | null} state null: not admitted
   */
  #end(answer, state) {
    answer.end(state);
    this.emit('ended', answer);
  }

  /** @param {SharedAnswer} answer that no further job may join */
  #removeFromIndex(answer) {
    if (this.#running.get(answer.key) === answer) this.#running.delete(answer.key);
  }

  /**
   * @param {SharedAnswer} answer in the cache if there was room for it
   * @param {number} bytes
   */
  #retain(answer, bytes) {
    if (!answer.kept) return;
    answer.endedAt = performance.now();
    answer.retainedBytes = bytes;
    this.#retained.add(answer);
    this.#memory?.retain(answer.principal, bytes);
  }

  /**
   * @param {number} handle of any log
   * @param {import('../../streams/types.js').JobState} state
   */
  #onEnded(handle, state) {
    const answer = this.#byHandle.get(handle);
    if (answer === undefined) return;
    this.#end(answer, state);
    if (!answer.providerDone) answer.abort.abort();
    // Keep it only if it is still indexed: a refresh may have replaced it.
    const current = this.#running.get(answer.key) === answer;
    this.#removeFromIndex(answer);
    if (current && answer.whole && answer.ttlMs > 0) {
      answer.kept = true;
      const { bytes: size, ttlMs } = answer;
      this.#kept.set(answer.key, answer, { size, ttlMs });
      this.#retain(answer, size);
    }
    this.#evict(answer);
  }

  /** @param {number} handle of any log */
  #onPurged(handle) {
    const answer = this.#byHandle.get(handle);
    if (answer === undefined) return;
    this.#byHandle.delete(handle);
    if (this.#kept.peek(answer.key) === answer) this.#kept.delete(answer.key);
    else this.#kept.purgeStale();
  }

  /**
   * Removes an ended answer from the hub if it is neither kept nor about to be replayed.
   * @param {SharedAnswer} answer
   */
  #evict(answer) {
    if (!answer.ended || answer.kept || answer.joining > 0) return;
    if (this.#byHandle.delete(answer.handle)) this.#hub.purge(answer.handle);
  }

  /**
   * Deletes finished answers. A running one is not kept when it ends, and cannot be joined.
   * @param {(answer: SharedAnswer) => boolean} matches
   */
  erase(matches) {
    for (const answer of this.#byHandle.values()) {
      if (!matches(answer)) continue;
      this.#removeFromIndex(answer);
      if (this.#kept.peek(answer.key) === answer) this.#kept.delete(answer.key);
      answer.kept = false;
      this.#evict(answer);
    }
  }

  /** Removes all finished answers. */
  close() {
    this.#kept.clear();
  }
}
