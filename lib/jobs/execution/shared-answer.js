/**
 * An answer that several jobs share, as it is produced: a job that nobody sees. It goes through
 * the queues and to the provider in place of the jobs that have it, its members, whose logs are
 * fed from its own on the reactor. Main thread only; made and ended by the AnswerCache.
 */
import { JobRecord } from '../job.js';

/** See the head of this file. */
export class SharedAnswer extends JobRecord {
  /** @type {Set<JobRecord>} jobs that wait for it, or are fed by it and have not ended */
  members = new Set();
  /** @type {Promise<void>} settles with its admission: what refuses it refuses all who wait */
  admitted = Promise.resolve();
  /** Whether it is in the cache. */
  kept = false;
  /** When it came into the cache, on the clock of `performance.now()`. */
  endedAt = 0;
  /** What the budget of memory has of it. */
  retainedBytes = 0;
  /** Jobs that are about to be fed by it: so long it stays in the hub. */
  joining = 0;

  /**
   * @param {JobRecord} first the job that asks for it. The provider is told its id
   * @param {import('./cache-policy.js').CachePlan} plan
   */
  constructor(first, { key, ttlMs }) {
    const { principal, model, createdAtMs } = first;
    const request = /** @type {import('../request.js').JobRequest} */ (first.request);
    super({ principal, model, request, createdAtMs });
    this.id = first.id;
    this.request_id = first.id;
    this.key = key;
    this.ttlMs = ttlMs;
    // It lives as long as the last of its members.
    this.deadlineMs = 0;
  }

  get jobs() {
    return this.members;
  }

  beginAttempt() {
    super.beginAttempt();
    for (const member of this.members) member.beginAttempt();
  }

  /**
   * What was reserved for it, on behalf of the job that began it, is settled by what it has really
   * taken, whoever it went on for: that job may have ended long before. Those who joined or hit cost
   * no tokens.
   * @param {import('../../streams/types.js').JobState | null} state null: it was not admitted
   */
  end(state) {
    this.final = state ?? undefined;
    if (state === null) this.reservation?.release();
    else this.settleReservation();
    // The prompt may be large, and the answer may be kept for long.
    this.request = undefined;
    this.metadata = undefined;
  }

  /** Whether another job with the same question may have it later. */
  get whole() {
    const { status, reason, text_bytes: bytes, text_truncated: truncated } = this.final ?? {};
    // An empty answer is mostly a failure in disguise.
    return status === 'completed' && reason === 'stop' && bytes > 0 && truncated !== true;
  }

  /** Bytes that it holds in the hub, about. */
  get bytes() {
    return BYTES_EACH + this.final.text_bytes + BYTES_PER_TOKEN * this.final.metrics.tokens;
  }
}

/** Of a job without text: in the hub and here. */
const BYTES_EACH = 2048;
/** An offset in the log. */
const BYTES_PER_TOKEN = 4;
