import { JobRecord } from '../job.js';

/**
 * A hidden job that produces an answer for several jobs, its members. It passes through the queues
 * and the provider in their place; the reactor copies its log to theirs. Main thread only; the
 * AnswerCache creates and ends it.
 */
export class SharedAnswer extends JobRecord {
  /** @type {Set<JobRecord>} jobs that wait for it or follow its log, and have not ended */
  members = new Set();
  /** @type {Promise<void>} settles with its admission; a rejection refuses all waiting jobs */
  admitted = Promise.resolve();
  /** Whether it is in the cache. */
  kept = false;
  /** When it came into the cache, on the clock of `performance.now()`. */
  endedAt = 0;
  /** Bytes counted in the memory budget. */
  retainedBytes = 0;
  /** Number of jobs about to follow its log; it stays in the hub meanwhile. */
  joining = 0;

  /**
   * @param {JobRecord} first the job that begins it. The provider receives this job's id
   * @param {import('./cache-policy.js').CachePlan} plan
   */
  constructor(first, { key, ttlMs }) {
    const { principal, model, createdAtMs } = first;
    const request = /** @type {import('../checked-request.js').CheckedRequest} */ (first.request);
    super({ principal, model, request, createdAtMs });
    this.id = first.id;
    this.request_id = first.id;
    this.key = key;
    this.ttlMs = ttlMs;
    // It ends with the last of its members.
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
   * Settles the reservation made by the job that began it at the answer's actual use, even if that
   * job has ended before. Jobs that joined or replayed it are charged no tokens.
   * @param {import('../../streams/types.js').JobState | null} state null: not admitted
   */
  end(state) {
    this.final = state ?? undefined;
    if (state === null) this.reservation?.release();
    else this.settleReservation();
    // The prompt may be large, and the answer may be kept for long.
    this.request = undefined;
    this.metadata = undefined;
  }

  /** Whether another job with the same request may replay it later. */
  get whole() {
    const { status, reason, metrics, text_truncated: truncated } = this.final ?? {};
    const isNormal = reason === 'stop' || reason === 'tool_calls';
    // An answer without any entry usually means a failure.
    return status === 'completed' && isNormal && metrics.tokens > 0 && truncated !== true;
  }

  /** Approximate bytes that it holds in the hub. */
  get bytes() {
    return BYTES_EACH + this.final.log_bytes;
  }
}

/** Bytes of a job without the entries of its log, in the hub and here. */
const BYTES_EACH = 2048;
