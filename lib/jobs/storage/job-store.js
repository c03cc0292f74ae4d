/**
 * What a gateway keeps in its data file: jobs, and what submissions were answered under their keys.
 * Main thread.
 *
 * A job's row and its key are one transaction, and its submission is answered after it; tokens and
 * endings are written by the hub's own threads. On start everything is put back: finished jobs for
 * the rest of their retention, the others ended as `server_restarted`. `close()` ends it.
 */
import { HttpError } from '../../internal/util/http-error.js';
import { JobRecord } from '../job-table.js';
import { KeptState } from './state.js';
import { SqliteStore } from './sqlite.js';
import { jobValues, namedJob, restoredJob } from './rows.js';
import { namedUsage, usageValues } from './usage-rows.js';

/** How long the removal of a key waits for another try. */
const kRetryMs = 1000;

/** How long a job whose conversation may not have heard of its end is put back at least. */
const kTurnRetentionMs = 60_000;

const kRestarted = Object.freeze({
  code: 'server_restarted',
  message:
    'The server was restarted while the job was under way; its text is what had come so far.',
  type: 'server_error',
});

/**
 * @param {unknown} error
 * @returns {HttpError}
 */
function refusal(error) {
  const { status } = /** @type {import('./sqlite.js').StoreError} */ (error);
  if (status === 'full') {
    return new HttpError(507, {
      code: 'insufficient_storage',
      type: 'server_error',
      message: 'The disk of the server is full; nothing new is taken until it has room.',
      headers: { 'Retry-After': '10' },
      cause: error,
    });
  }
  return new HttpError(503, {
    code: status === 'busy' ? 'overloaded' : 'storage_unavailable',
    message: 'The server cannot write to its data file; try again later.',
    headers: { 'Retry-After': '1' },
    cause: error,
  });
}

/**
 * @param {ReturnType<typeof namedJob>} job
 * @returns {JobRecord} that nothing is to be done for any more
 */
function recordOf(job) {
  const record = new JobRecord({
    principal: job.principal,
    model: job.model,
    request: /** @type {any} */ ({ metadata: job.metadata }),
    createdAtMs: job.created_at_ms,
  });
  record.id = record.request_id = job.id;
  record.request = undefined;
  record.cache = job.cache ?? undefined;
  record.extra = job.extra;
  record.attempts = job.started_ns === null ? 0 : job.attempt;
  record.counted = job.counted === 1;
  record.providerDone = true;
  record.status = job.status ?? (job.started_ns === null ? 'queued' : 'running');
  return record;
}

/** @param {ReturnType<typeof namedJob>} job */
const isTurn = ({ extra }) => extra?.conversation_id !== undefined;

/** See the head of this file. */
export class JobStore {
  #store;
  #keyTtlMs;
  #retentionMs;
  #nextNumber = 1;
  #closed = false;
  #state;
  /** Resolves when the jobs of earlier are as they will stay. @type {Promise<unknown>} */
  restored = Promise.resolve();

  /**
   * @param {string} path
   * @param {object} options
   * @param {import('../../internal/native/reactor.js').Reactor} options.reactor
   * @param {number} options.keyTtlMs how long a key is kept
   * @param {number} options.retentionMs how long a finished job is
   * @param {import('../../internal/time/clock.js').ManualClock} [options.clock]
   * @throws {import('../../internal/util/errors.js').SluiceError} `ERR_DATA_...`
   */
  constructor(path, { reactor, keyTtlMs, retentionMs, clock }) {
    this.#retentionMs = retentionMs;
    this.#store = new SqliteStore(path);
    this.#keyTtlMs = keyTtlMs;
    try {
      // All of it before anything is written: a file that is damaged stays as it is.
      this.#rows = this.#read();
      this.#state = new KeptState(this.#store, { clock });
    } catch (error) {
      this.#store.release();
      throw error;
    }
    this.#store.start(reactor);
  }

  /** What the file held; until it is put back. */
  #rows;

  #read() {
    const store = this.#store;
    const jobs = store.select('jobs').map((row) => {
      const named = namedJob(row);
      store.parse(named.details);
      const [metadata, extra] = [store.parse(named.metadata), store.parse(named.extra)];
      const job = { ...named, metadata, extra };
      return { job, tokens: store.select('tokens', [job.number, job.attempt]) };
    });
    this.#nextNumber = (jobs.at(-1)?.job.number ?? 0) + 1;
    const usage = store.select('usage').map(namedUsage);
    const keys = store.select('keys').map(([name, fingerprint, answer, expiresAtMs]) => {
      return { name, fingerprint, answer: store.parse(answer), expiresAtMs };
    });
    return { jobs, keys, usage };
  }

  /** For the native hubs. */
  get native() {
    return this.#store.native;
  }

  /**
   * The keys of earlier that are alive; the others leave the file. Once.
   * @returns {{name: string, fingerprint: string, answer: any, leftMs: number}[]}
   */
  takeKeys() {
    const nowMs = Date.now();
    const alive = [];
    for (const { name, fingerprint, answer, expiresAtMs } of this.#rows.keys) {
      if (expiresAtMs <= nowMs) this.dropKey(name);
      else {
        const leftMs = Math.min(expiresAtMs - nowMs, this.#keyTtlMs);
        alive.push({ name, fingerprint, answer, leftMs });
      }
    }
    this.#rows.keys = [];
    return alive;
  }

  /**
   * Puts the jobs of earlier back, oldest first.
   * @param {object} gateway's own
   * @param {import('../../streams/hub.js').JobHub} gateway.hub
   * @param {import('../job-table.js').JobTable} gateway.jobs
   * @param {(record: JobRecord) => void} gateway.onRestored called for each that had ended
   */
  restore({ hub, jobs, onRestored }) {
    const times = { nowMs: Date.now(), retentionMs: this.#retentionMs };
    /** @type {{record: JobRecord, endedAtMs: number}[]} */
    const ended = [];
    /** @type {JobRecord[]} */
    const cutOff = [];
    for (const { job, tokens } of this.#rows.jobs) {
      const restored = restoredJob(job, tokens, times);
      const over = restored.terminal !== undefined;
      // Somebody has to hear of it first.
      if (over && (isTurn(job) || job.counted === 0)) {
        restored.retentionLeftMs = Math.max(restored.retentionLeftMs, kTurnRetentionMs);
      }
      if (over && restored.retentionLeftMs === 0) {
        this.#drop(job.number);
        continue;
      }
      const record = recordOf(job);
      record.handle = hub.restore(restored);
      jobs.add(record);
      if (over) ended.push({ record, endedAtMs: job.ended_at_ms });
      else cutOff.push(record);
    }
    this.#rows.jobs = [];
    // The table keeps so many finished jobs, by the order of their endings.
    ended.sort((a, b) => a.endedAtMs - b.endedAtMs);
    const order = ended.map(({ record }) => record);
    this.restored = this.#settle({ hub, jobs, onRestored }, order, cutOff);
  }

  /**
   * @param {Parameters<JobStore['restore']>[0]} gateway
   * @param {JobRecord[]} ended before this process: nobody else will hear of it
   * @param {JobRecord[]} cutOff
   */
  async #settle({ hub, jobs, onRestored }, ended, cutOff) {
    const snapshot = (/** @type {JobRecord} */ { handle }) => hub.snapshot(handle, { text: false });
    const states = await Promise.all(ended.map(snapshot));
    ended.forEach((record, i) => {
      const known = jobs.byHandle(record.handle) === record;
      if (!known || states[i] === null) return;
      jobs.finish(record, states[i]);
      onRestored(record);
    });
    for (const { handle } of cutOff) hub.finish(handle, { type: 'error', error: kRestarted });
    await Promise.all(cutOff.map(snapshot));
  }

  /**
   * Resolves when every change that was made so far is on the disk.
   * @throws {HttpError} 507 or 503: it may not be there yet
   */
  async synced() {
    await this.#store.commit([]).catch((error) => {
      throw refusal(error);
    });
  }

  /** @throws {HttpError} 507 while the disk is full, 503 while too much waits for it */
  checkRoom() {
    const { room } = this.#store;
    if (room !== 'ok') throw refusal({ status: room });
  }

  /** How the file is, for metrics. */
  get figures() {
    return { ...this.#store.stats, state: this.#store.state };
  }

  /** The gateway's keys and values, for KvSpaces. Once. */
  openKv() {
    return this.#state.openKv();
  }

  /** See `openLedger` in ledger-store.js. Once. */
  openLedger() {
    return this.#state.openLedger();
  }

  /**
   * Writes a new job down, with the key of its submission.
   * @param {JobRecord} record `record.written` settles when it is on the disk
   * @param {number} promptTokens
   * @returns {number} its number; 0 of a part of a work, which is not written
   */
  accept(record, promptTokens) {
    if (record.part !== undefined) return 0;
    const number = this.#nextNumber++;
    const changes = ['add_job', jobValues(number, record, promptTokens)];
    if (record.usedKey !== undefined) {
      const { name, fingerprint, answer } = record.usedKey;
      const expiresAtMs = Date.now() + this.#keyTtlMs;
      changes.push('add_key', [name, fingerprint, JSON.stringify(answer()), expiresAtMs]);
    }
    const written = this.#store.commit(changes).catch((error) => {
      throw refusal(error);
    });
    // Whoever is to be answered hears of it; there may be nobody.
    written.catch(() => {});
    record.written = written;
    return number;
  }

  /**
   * What was used, of earlier, oldest first. Once.
   * @returns {import('../../services/billing/usage.js').UsageRow[]}
   */
  takeUsage() {
    return this.#rows.usage.splice(0);
  }

  /**
   * Adds what a job has used, unless that was done before.
   * @param {import('../../services/billing/usage.js').UsageRow} row
   * @param {string} jobId
   */
  addUsage(row, jobId) {
    this.#write(['add_usage', usageValues(row, jobId), 'count_job', [jobId]]);
  }

  /** @param {number} hour whose usage, and all before, is forgotten */
  dropUsage(hour) {
    this.#write(['drop_usage', [hour]]);
  }

  /** @param {string} name of a key that is free again */
  dropKey(name) {
    this.#write(['drop_key', [name]]);
  }

  /** @param {number} number of a job whose time is over */
  #drop(number) {
    this.#write(['drop_tokens', [number], 'drop_job', [number]]);
  }

  /** @param {(string | import('./sqlite.js').Column[])[]} changes to be made sooner or later */
  #write(changes) {
    this.#store.commit(changes).catch(() => {
      if (!this.#closed) setTimeout(() => this.#write(changes), kRetryMs).unref();
    });
  }

  /** Writes what is left and lets the file go. */
  async close() {
    this.#closed = true;
    await this.#store.close();
  }
}

/**
 * @param {import('../settings.js').Settings} options
 * @param {import('../../internal/native/reactor.js').Reactor} reactor
 * @returns {JobStore | undefined} undefined: everything is in memory
 */
export function openJobStore({ data, idempotency, retentionMs, clock }, reactor) {
  if (data === undefined) return undefined;
  return new JobStore(data, { reactor, keyTtlMs: idempotency.ttlMs, retentionMs, clock });
}
