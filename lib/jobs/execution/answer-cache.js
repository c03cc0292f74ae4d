/**
 * Answers that jobs with the same question share: the running one, which they join from its first
 * token, and the finished one, which is replayed. Main thread only; `close()` ends it.
 *
 * Every answer is produced by a job of its own that nobody sees (a SharedAnswer), and every job
 * that shares it, the first included, is a follower of that one in the hub. So any of them may be
 * cancelled, may run out of its time or lose its readers, and the others do not notice; when the
 * last has ended, the answer is cancelled. An answer that came to its own end is kept in the hub
 * for as long as the LruTtlCache says.
 */
import { LruTtlCache } from '../../primitives/cache/lru-ttl-cache.js';
import { SharedAnswer } from './shared-answer.js';
import { draining, overloaded } from '../errors.js';
import { estimatePromptTokens } from '../prompt-tokens.js';
import { whenAborted } from '../../internal/util/abort.js';

/** @typedef {import('../job-table.js').JobRecord} JobRecord */
/** @typedef {'hit' | 'miss' | 'join'} CacheResult */

/**
 * What the hub is told to outlive an answer's time in the cache by: which of the two is first in
 * the same moment must not matter.
 */
const kHubGraceMs = 1;

/** See the head of this file. */
export class AnswerCache {
  #hub;
  #maxJoined;
  #activate;
  #cancel;
  #forget;
  #onAnswerEnded;
  /** @type {Map<string, SharedAnswer>} those that run and may be joined */
  #running = new Map();
  /** @type {LruTtlCache<string, SharedAnswer>} those that may be replayed */
  #kept;
  /** @type {Map<number, SharedAnswer>} all that the hub has */
  #byHandle = new Map();
  /** Jobs that share a running answer which they did not start. */
  #joined = 0;

  /**
   * @param {object} parts
   * @param {import('../../streams/hub.js').JobHub} parts.hub
   * @param {import('../../gateway/options.js').CheckedGatewayOptions['cache']} parts.options
   * @param {import('../../internal/time/clock.js').ManualClock} [parts.clock]
   * @param {(record: JobRecord) => void} parts.activate makes a member's own job, near its answer
   * @param {(answer: SharedAnswer) => void} parts.cancel ends an answer that nobody waits for
   * @param {(record: JobRecord) => void} parts.forget undoes `activate`
   * @param {(answer: SharedAnswer) => void} parts.onEnded called once for each answer: it has ended, or
   *   was not admitted
   */
  constructor({ hub, options, clock, activate, cancel, forget, onEnded }) {
    this.#hub = hub;
    this.#maxJoined = options.maxJoined;
    this.#activate = activate;
    this.#cancel = cancel;
    this.#forget = forget;
    this.#onAnswerEnded = onEnded;
    const { maxEntries, maxBytes, ttlMs } = options;
    this.#kept = new LruTtlCache({
      maxEntries,
      maxBytes,
      ttlMs,
      clock,
      onEvict: (_key, answer) => {
        answer.kept = false;
        this.#letGo(answer);
      },
    });
  }

  /**
   * `entries` may be replayed, `running` joined; `answers` are all that the hub has, those of
   * neither kind included; `joined` counts jobs.
   */
  get stats() {
    const { size: entries, bytes } = this.#kept;
    const [running, answers] = [this.#running.size, this.#byHandle.size];
    return { entries, bytes, running, answers, joined: this.#joined };
  }

  /**
   * Gives a job an answer: one that is there, one that runs, or a new one. Resolves when the job
   * exists; `record.cache` says which it was.
   * @param {JobRecord} record
   * @param {import('./cache-policy.js').CachePlan} plan
   * @param {object} how
   * @param {AbortSignal} [how.signal] gives up waiting; not aborted yet
   * @param {(answer: SharedAnswer) => void} how.reserve what a new answer costs; throws when it is not
   *   to be had
   * @param {() => void} how.share what it costs to have another one's; throws as `reserve`
   * @param {(answer: SharedAnswer) => Promise<void>} how.enqueue resolves when a new answer is in
   *   the queue
   * @throws {import('../../internal/util/http-error.js').HttpError} for want of room; then there is no job
   */
  async serve(record, plan, { signal, reserve, share, enqueue }) {
    try {
      let known = plan.refresh ? undefined : this.#find(plan.key);
      while (known !== undefined) {
        share();
        if (await this.#share(record, known, known.kept ? 'hit' : 'join', signal)) return;
        signal?.throwIfAborted();
        // It had lost its beginning, or was just being dropped; somebody may have begun another.
        const now = this.#find(plan.key);
        if (now === known) break;
        known = now;
      }
      const answer = new SharedAnswer(record, plan);
      // Before others may join it: what this one's limits do not permit is not refused to them.
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
      if (record.handle !== 0) this.#forget(record);
      throw error;
    }
  }

  /** @param {string} key */
  #find(key) {
    return this.#running.get(key) ?? this.#kept.get(key);
  }

  /**
   * @param {SharedAnswer} answer
   * @param {(answer: SharedAnswer) => Promise<void>} enqueue
   */
  async #admit(answer, enqueue) {
    try {
      await enqueue(answer);
      // All may have left in the moment in which there was room: then the queue drops it.
      if (answer.handle === 0) answer.abort.signal.throwIfAborted();
    } catch (error) {
      if (answer.handle === 0) this.#end(answer, null);
      this.#unlist(answer);
      throw error;
    }
    this.activate(answer);
    // Whatever was kept, this one is wanted in its place; it was not refused, so the old one goes.
    if (this.#running.get(answer.key) === answer) this.#kept.delete(answer.key);
  }

  /**
   * From here on the answer is in the hub, and so are the jobs that wait for it: they are fed from
   * its first token. When it has been accepted or dispatched, whichever is heard of first.
   * @param {SharedAnswer} answer
   */
  activate(answer) {
    if (answer.handle !== 0) return;
    const first = [...answer.members].find((record) => record.handle !== 0);
    answer.handle = this.#hub.create({
      jobId: answer.id,
      // It has no readers, and no time limit, but those of its members.
      onDisconnect: 'continue',
      disconnectGraceMs: 0,
      maxWallMs: Infinity,
      promptTokens: estimatePromptTokens(answer.request ?? {}),
      retentionMs: answer.ttlMs + kHubGraceMs,
      near: first?.handle,
    });
    this.#byHandle.set(answer.handle, answer);
    for (const record of answer.members) this.#follow(record, answer);
  }

  /**
   * @param {JobRecord} record
   * @param {SharedAnswer} answer in the hub
   * @returns {Promise<boolean | null>} as `JobHub.follow`
   */
  #follow(record, answer) {
    if (record.following === undefined) {
      this.#activate(record);
      answer.deadlineMs = Math.max(answer.deadlineMs, record.deadlineMs);
      if (answer.attempts > 0 && !answer.ended && !record.ended) record.beginAttempt();
      record.following = this.#hub.follow(record.handle, answer.handle);
    }
    return record.following;
  }

  /**
   * @param {JobRecord} record
   * @param {SharedAnswer} answer
   * @param {CacheResult} cache
   * @param {AbortSignal} [signal] not aborted yet
   * @param {() => Promise<void>} [begin] of a new answer: has it admitted
   * @returns {Promise<boolean>} false: it cannot be had from this answer
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
      // Those who wait hear of a failure; there may be none left.
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
      this.#letGo(answer);
    }
  }

  /**
   * Resolves when the answer has been admitted. Who gives up before that leaves in the same moment:
   * a job that is in the hub exists, whoever is left to be told of it.
   * @param {JobRecord} record
   * @param {SharedAnswer} answer
   * @param {AbortSignal} [signal]
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
   * A job has ended, or does without its answer. When it was the last, the answer is cancelled.
   * @param {JobRecord} record
   */
  leave(record) {
    const { answer } = record;
    if (answer === undefined || !answer.members.delete(record)) return;
    if (record.cache === 'join') this.#joined -= 1;
    if (answer.members.size > 0 || answer.ended) return;
    this.#unlist(answer);
    if (answer.handle === 0) answer.abort.abort();
    else this.#cancel(answer);
  }

  /**
   * @param {SharedAnswer} answer
   * @param {import('../../streams/types.js').JobState | null} state null: it was not admitted
   */
  #end(answer, state) {
    answer.end(state);
    this.#onAnswerEnded(answer);
  }

  /** @param {SharedAnswer} answer that nobody is to join any more */
  #unlist(answer) {
    if (this.#running.get(answer.key) === answer) this.#running.delete(answer.key);
  }

  /**
   * A job that the gateway does not know has ended: an answer, if it is one of these.
   * @param {number} handle
   * @param {import('../../streams/types.js').JobState} state
   */
  onEnded(handle, state) {
    const answer = this.#byHandle.get(handle);
    if (answer === undefined) return;
    this.#end(answer, state);
    if (!answer.settled) answer.abort.abort();
    // Only what is wanted still: a refresh that began meanwhile has taken its place.
    const current = this.#running.get(answer.key) === answer;
    this.#unlist(answer);
    if (current && answer.whole && answer.ttlMs > 0) {
      answer.kept = true;
      const { bytes: size, ttlMs } = answer;
      this.#kept.set(answer.key, answer, { size, ttlMs });
    }
    this.#letGo(answer);
  }

  /**
   * The hub has dropped a job that the gateway does not know: the answer's time is over.
   * @param {number} handle
   */
  onPurged(handle) {
    const answer = this.#byHandle.get(handle);
    if (answer === undefined) return;
    this.#byHandle.delete(handle);
    if (this.#kept.peek(answer.key) === answer) this.#kept.delete(answer.key);
    else this.#kept.purgeStale();
  }

  /**
   * An answer that has ended leaves the hub when it is neither kept nor about to be replayed.
   * @param {SharedAnswer} answer
   */
  #letGo(answer) {
    if (!answer.ended || answer.kept || answer.joining > 0) return;
    if (this.#byHandle.delete(answer.handle)) this.#hub.purge(answer.handle);
  }

  /** Forgets what is kept. */
  close() {
    this.#kept.clear();
  }
}
