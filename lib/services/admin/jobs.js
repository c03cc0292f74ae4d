import { badRequest } from '../../internal/util/http-error.js';
import { EVENT_FIELDS } from '../../streams/subscriptions.js';
import { jobNotFound } from '../../jobs/errors.js';
import { whenAborted } from '../../internal/util/abort.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../streams/types.js').JobState} JobState */

/**
 * @typedef {object} JobFilter
 * @property {import('../../jobs/request.js').JobStatus} [status]
 * @property {string} [model]
 * @property {string} [key] principal
 * @property {number} limit
 * @property {string} [after] id of the last job of the page before
 */

/** Interval between two descriptions of a watched job. */
const DESCRIBE_MS = 1000;

/** @param {number | undefined} ms @param {number} from @returns {number | null} */
const since = (ms, from) => (ms === undefined ? null : Math.round((ms - from) * 1000) / 1000);

/**
 * A job in administrators' lists, in the JSON format of answers.
 * @param {JobRecord} record
 * @param {JobState | null} state null: the job was purged meanwhile
 */
function rowOf(record, state) {
  const { id, principal, model, upstream, createdAtMs, attempts, cache } = record;
  const { queue_ms, ttft_ms, duration_ms, tokens, tokens_per_second } = state?.metrics ?? {};
  return {
    job_id: id,
    key: principal,
    model,
    upstream: upstream ?? null,
    status: state?.status ?? record.status,
    created_at: createdAtMs / 1000,
    attempts,
    cache: cache ?? null,
    ...{ queue_ms, ttft_ms, duration_ms, tokens, tokens_per_second },
    code: state?.error?.code ?? null,
    reason: state?.reason ?? null,
  };
}

/**
 * The jobs of all callers in this process, for administrators. Watching a job neither
 * slows its provider nor counts as a reader. Main thread; lives as long as its gateway.
 */
export class AdminJobs {
  #jobs;
  #hub;

  /**
   * @param {object} deps
   * @param {import('../../jobs/job-table.js').JobTable<JobRecord>} deps.jobs
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   */
  constructor({ jobs, hub }) {
    this.#jobs = jobs;
    this.#hub = hub;
  }

  /** Numbers of jobs by status, without child jobs. @returns {Record<string, number>} */
  counts() {
    const counts = { queued: 0, running: 0, completed: 0, failed: 0, cancelled: 0 };
    for (const { part, status } of this.#jobs.all()) if (part === undefined) counts[status] += 1;
    return counts;
  }

  /**
   * A page of jobs, newest first.
   * @param {JobFilter} filter
   * @returns {Promise<{data: ReturnType<typeof rowOf>[], has_more: boolean}>}
   * @throws {import('../../internal/util/http-error.js').HttpError} 400 when `after` is unknown
   */
  async page({ status, model, key, limit, after }) {
    const newestFirst = this.#jobs.all().reverse();
    const start = after === undefined ? 0 : newestFirst.findIndex(({ id }) => id === after) + 1;
    if (after !== undefined && start === 0) {
      throw badRequest('invalid_value', 'after', 'after must be the id of a job that is kept.');
    }
    const found = [];
    for (let i = start; i < newestFirst.length && found.length <= limit; i += 1) {
      const record = newestFirst[i];
      const isWanted =
        record.part === undefined &&
        (status === undefined || record.status === status) &&
        (model === undefined || record.model === model) &&
        (key === undefined || record.principal === key);
      if (isWanted) found.push(record);
    }
    const page = found.slice(0, limit);
    const data = await Promise.all(
      page.map(async (record) => rowOf(record, await this.#stateOf(record))),
    );
    return { data, has_more: found.length > limit };
  }

  /** @param {JobRecord} record @returns {Promise<JobState | null>} */
  async #stateOf(record) {
    return record.final ?? this.#hub.snapshot(record.handle, { text: false });
  }

  /**
   * @param {string} id
   * @returns {JobRecord}
   * @throws {import('../../internal/util/http-error.js').HttpError} 404
   */
  find(id) {
    const record = this.#jobs.byId(id);
    if (record === undefined || record.part !== undefined) throw jobNotFound();
    return record;
  }

  /**
   * @param {JobRecord} record
   * a row with the details of one job
   */
  async describe(record) {
    const [state, readers] = await Promise.all([
      this.#stateOf(record),
      this.#hub.readers(record.handle),
    ]);
    // The times in the metrics count from the acceptance.
    const beganMs = record.acceptedMs ?? 0;
    // The last call ends with the job.
    const durationMs = record.ended ? (state?.metrics.duration_ms ?? null) : null;
    return {
      ...rowOf(record, state),
      calls: record.calls.map(({ startMs, endMs }) => ({
        start_ms: since(startMs, beganMs),
        end_ms: since(endMs, beganMs) ?? durationMs,
      })),
      conversation_id: record.extra?.conversation_id ?? null,
      metadata: record.metadata ?? null,
      usage: state?.usage ?? null,
      error: state?.error ?? null,
      last_event_id: state?.last_event_id ?? null,
      log_bytes: state?.log_bytes ?? null,
      readers: readers ?? [],
    };
  }

  /**
   * The log of a job with the times of its entries, and once a second the result of `describe`. For an
   * entry from before the call the time is unknown, except for the first and the last entry of the job.
   * @param {JobRecord} record
   * @param {AbortSignal} signal ends it
   * @returns {AsyncGenerator<{event: 'job' | 'entries', data: object}>} `entries`: `{entries: [[id, type,
   *   time, data], ...]}`, times in Unix seconds or null
   */
  async *watch(record, signal) {
    const first = await this.describe(record);
    yield { event: 'job', data: first };
    const log = new ObservedLog(this.#hub, record, { signal, lastId: first.last_event_id ?? '' });
    try {
      let describedMs = performance.now();
      while (!signal.aborted) {
        const entries = log.take();
        if (entries !== undefined) yield { event: 'entries', data: { entries } };
        else if (log.ended) break;
        else await log.change(DESCRIBE_MS);
        if (signal.aborted) return;
        if (performance.now() - describedMs < DESCRIBE_MS) continue;
        describedMs = performance.now();
        yield { event: 'job', data: await this.describe(record) };
      }
    } finally {
      log.close();
    }
    if (!signal.aborted) yield { event: 'job', data: await this.describe(record) };
  }
}

/** @param {string} id of an event @returns {[attempt: number, seq: number]} */
function placeOf(id) {
  const [attempt = 0, seq = 0] = id.split('-').map(Number);
  return [attempt, seq];
}

/** A reader of one job's log for administrators. Ends with `close()`. */
class ObservedLog {
  #hub;
  #record;
  #subscriber;
  #forget;
  #cursor = '';
  /** @type {string[] | undefined} id, type, JSON, ... */
  #batch;
  #batchMs = 0;
  /** The last entry with an unknown time. */
  #known;
  /** @type {string | undefined} */
  #end;
  /** @type {(() => void) | undefined} */
  #wake;

  /**
   * @param {import('../../streams/hub.js').JobHub} hub
   * @param {JobRecord} record
   * @param {{signal: AbortSignal, lastId: string}} options `lastId`: the last entry written before
   */
  constructor(hub, record, { signal, lastId }) {
    this.#hub = hub;
    this.#record = record;
    this.#known = placeOf(lastId);
    this.#subscriber = this.#open();
    this.#forget = whenAborted(signal, () => this.#wake?.());
  }

  #open() {
    const { handle } = this.#record;
    const wake = () => this.#wake?.();
    return this.#hub.openStream(
      [{ handle, cursor: this.#cursor }],
      {
        onOpen: (finished) => {
          if (finished) this.#end = 'finished';
          wake();
        },
        onEvents: (events) => {
          this.#batch = events;
          this.#batchMs = Date.now();
          wake();
        },
        onEnd: (reason) => {
          this.#end = reason;
          wake();
        },
      },
      { observes: true },
    );
  }

  /** Whether the log has ended. */
  get ended() {
    if (this.#end !== 'stalled') return this.#end !== undefined;
    // The client was slow: continue where it stopped.
    this.#end = undefined;
    this.#subscriber = this.#open();
    return false;
  }

  /** @returns {[string, string, number | null, object][] | undefined} the entries that have arrived */
  take() {
    const batch = this.#batch;
    if (batch === undefined) return undefined;
    this.#batch = undefined;
    const entries = [];
    for (let i = 0; i < batch.length; i += EVENT_FIELDS) {
      const [id, type, data] = batch.slice(i, i + EVENT_FIELDS);
      if (id !== '') this.#cursor = id;
      const at = this.#timeOf(id, type);
      entries.push(
        /** @type {[string, string, number | null, object]} */ ([
          ...[id, type, at],
          JSON.parse(data),
        ]),
      );
    }
    this.#subscriber.acknowledge();
    return entries;
  }

  /** @param {string} id @param {string} type @returns {number | null} Unix seconds */
  #timeOf(id, type) {
    const { createdAtMs, final } = this.#record;
    if (type.startsWith('job_') && type !== 'job_retry' && final !== undefined) {
      return (createdAtMs + final.metrics.duration_ms) / 1000;
    }
    const [attempt, seq] = placeOf(id);
    const [knownAttempt, knownSeq] = this.#known;
    if (attempt < knownAttempt || (attempt === knownAttempt && seq <= knownSeq)) {
      const ttftMs = final?.metrics.ttft_ms;
      return id === '1-1' && typeof ttftMs === 'number' ? (createdAtMs + ttftMs) / 1000 : null;
    }
    return this.#batchMs / 1000;
  }

  /**
   * @param {number} waitMs
   * @returns {Promise<void>} resolves when there may be new entries, at the latest after `waitMs`
   */
  change(waitMs) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, waitMs).unref();
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }

  close() {
    this.#forget();
    this.#subscriber.detach();
  }
}
