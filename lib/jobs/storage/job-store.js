import { monotonicClock } from '../../internal/time/clock.js';
import { DataFile } from './data-file.js';
import { JobRecord, choiceId } from '../job.js';
import { jobValues, namedJob, namedUsage, restoredJob, usageChanges } from './rows.js';
import { stringifyExact } from '../../internal/util/exact-json.js';

/** Wait before the removal of a key is retried. */
const RETRY_MS = 1000;

/** Minimum retention of a restored job whose turn may not be settled. */
const TURN_RETENTION_MS = 60_000;

const RESTARTED = Object.freeze({
  code: 'server_restarted',
  message:
    'The server was restarted while the job was under way; its text is what had come so far.',
  type: 'server_error',
});

/**
 * @param {ReturnType<typeof namedJob>} job
 * @returns {JobRecord} state of a job that needs no further work
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
  record.ownUpstream = upstreamIn(job.retry);
  record.providerDone = true;
  record.status = job.status ?? (job.started_ns === null ? 'queued' : 'running');
  return record;
}

/** @param {string | null} members members of its last attempt, as JSON @returns {string | undefined} */
function upstreamIn(members) {
  const { upstream } = JSON.parse(members || '{}');
  return typeof upstream === 'string' ? upstream : undefined;
}

/** @param {ReturnType<typeof namedJob>} job */
const isTurn = ({ extra }) => extra?.conversation_id !== undefined;

/**
 * Reads the jobs of a data file.
 * @param {import('./sqlite.js').SqliteStore} store open, and not started yet
 */
function readRows(store) {
  const jobs = store.select('jobs').map((row) => {
    const named = namedJob(row);
    for (const json of [named.details, named.usage, named.head]) store.parse(json);
    const [metadata, extra] = [store.parse(named.metadata), store.parse(named.extra)];
    const job = { ...named, metadata, extra };
    return { job, tokens: store.select('tokens', [job.number, job.attempt]) };
  });
  const usage = store.select('usage').map(namedUsage);
  const keys = store.select('keys').map(([name, fingerprint, answer, expiresAtMs]) => {
    return { name, fingerprint, answer: store.parse(answer), expiresAtMs };
  });
  return { jobs, keys, usage };
}

/**
 * The jobs of a gateway in its data file, with the answers by idempotency key, and the usage
 * totals. Main thread; `close()` ends it.
 *
 * A job's row and its key are written in one transaction, before its submission is answered; the
 * hub's threads write tokens and endings. At start all jobs are restored: finished jobs for the
 * rest of their retention, the others ended as `server_restarted`.
 */
export class JobStore {
  #file;
  #rows;
  #keyTtlMs;
  #retentionMs;
  #nowMs;
  #nextNumber;
  #closed = false;
  /** Resolves when all restored jobs have their final state. @type {Promise<unknown>} */
  restored = Promise.resolve();

  /**
   * @param {string} path
   * @param {object} options
   * @param {import('../../internal/native/reactor.js').Reactor} options.reactor
   * @param {number} options.keyTtlMs how long a key is kept
   * @param {number} options.retentionMs how long a finished job is kept
   * @param {import('../../internal/time/clock.js').ManualClock} [options.clock]
   * @throws {import('../../internal/util/errors.js').SluiceError} `ERR_DATA_...`
   */
  constructor(path, { reactor, keyTtlMs, retentionMs, clock }) {
    this.#file = new DataFile(path, { reactor, clock, read: readRows });
    // Jobs to restore, removed one by one.
    this.#rows = this.#file.rows;
    this.#nextNumber = (this.#rows.jobs.at(-1)?.job.number ?? 0) + 1;
    this.#keyTtlMs = keyTtlMs;
    this.#retentionMs = retentionMs;
    this.#nowMs = monotonicClock(clock);
  }

  /** The data file. */
  get file() {
    return this.#file;
  }

  /**
   * The idempotency keys that are still valid; expired ones are deleted from the file. Call it
   * once.
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
   * Restores the jobs of earlier processes, oldest first.
   * @param {object} gateway's own
   * @param {import('../../streams/hub.js').JobHub} gateway.hub
   * @param {import('../job-table.js').JobTable} gateway.jobs
   * @param {(record: JobRecord) => void} gateway.onRestored called for each ended job
   * @param {() => void} gateway.onSettled called once all of them have ended, with their events
   *   dispatched
   */
  restore({ hub, jobs, onRestored, onSettled }) {
    const nowMs = Date.now();
    /** @type {{record: JobRecord, endedAtMs: number}[]} */
    const ended = [];
    /** @type {JobRecord[]} */
    const cutOff = [];
    /** @type {Map<string, JobRecord>} */
    const byId = new Map();
    for (const { job, tokens } of this.#rows.jobs) {
      if (job.extra?.choice_of !== undefined) {
        this.#restoreChoice({ job, tokens }, byId.get(job.extra.choice_of), hub);
        continue;
      }
      const retentionMs = job.extra?.face?.retention_ms ?? this.#retentionMs;
      const restored = restoredJob(job, tokens, { nowMs, retentionMs });
      const over = restored.terminal !== undefined;
      // Its conversation or usage must be settled first.
      if (over && (isTurn(job) || job.counted === 0)) {
        restored.retentionLeftMs = Math.max(restored.retentionLeftMs, TURN_RETENTION_MS);
      }
      if (over && restored.retentionLeftMs === 0) {
        this.#drop(job.number);
        continue;
      }
      const record = recordOf(job);
      record.purgeDueMs = this.#nowMs() + restored.retentionLeftMs;
      record.handle = hub.restore(restored);
      jobs.add(record);
      byId.set(record.id, record);
      if (over) ended.push({ record, endedAtMs: job.ended_at_ms });
      else cutOff.push(record);
    }
    this.#rows.jobs = [];
    // The table keeps a limited number of finished jobs, in the order of their endings.
    ended.sort((a, b) => a.endedAtMs - b.endedAtMs);
    const order = ended.map(({ record }) => record);
    this.restored = this.#settle({ hub, jobs, onRestored, onSettled }, order, cutOff);
  }

  /**
   * Restores the log of a job's further answer; it ends with its job.
   * @param {{job: ReturnType<typeof namedJob>, tokens: any[][]}} row
   * @param {JobRecord | undefined} record of its job; undefined: the job's retention is over
   * @param {import('../../streams/hub.js').JobHub} hub
   */
  #restoreChoice({ job, tokens }, record, hub) {
    if (record === undefined) {
      this.#drop(job.number);
      return;
    }
    const restored = restoredJob(job, tokens, {
      nowMs: Date.now(),
      retentionMs: this.#retentionMs,
    });
    restored.retentionLeftMs = Math.max(0, record.purgeDueMs - this.#nowMs());
    const handle = hub.restore(restored, { near: record.handle });
    record.siblings = [...record.siblings, handle];
    if (restored.terminal === undefined) hub.finish(handle, { type: 'error', error: RESTARTED });
  }

  /**
   * @param {Parameters<JobStore['restore']>[0]} gateway
   * @param {JobRecord[]} ended jobs that ended before this process: the hub emits nothing for them
   * @param {JobRecord[]} cutOff
   */
  async #settle({ hub, jobs, onRestored, onSettled }, ended, cutOff) {
    const snapshot = (/** @type {JobRecord} */ { handle }) => hub.snapshot(handle, { text: false });
    const states = await Promise.all(ended.map(snapshot));
    ended.forEach((record, i) => {
      const known = jobs.byHandle(record.handle) === record;
      if (!known || states[i] === null) return;
      jobs.finish(record, states[i]);
      onRestored(record);
    });
    for (const { handle } of cutOff) hub.finish(handle, { type: 'error', error: RESTARTED });
    await Promise.all(cutOff.map(snapshot));
    await hub.barrier();
    onSettled();
  }

  /**
   * Writes a new job, with the idempotency key of its submission. The logs of its further answers get
   * the numbers after its own.
   * @param {JobRecord} record `record.written` settles when it is on the disk
   * @param {number} promptTokens
   * @param {number} [n] answers asked for
   * @returns {number} its row number; 0 for a child job, which is not written
   */
  accept(record, promptTokens, n = 1) {
    if (record.part !== undefined) return 0;
    const number = this.#nextNumber;
    this.#nextNumber += n;
    const changes = ['add_job', jobValues(number, record, promptTokens)];
    for (let choice = 1; choice < n; choice += 1) {
      const { principal, model, createdAtMs } = record;
      const log = {
        ...{ principal, model, createdAtMs, id: choiceId(record.id, choice) },
        extra: { choice_of: record.id },
      };
      changes.push('add_job', jobValues(number + choice, log, promptTokens));
    }
    if (record.usedKey !== undefined) {
      const { name, fingerprint, answer } = record.usedKey;
      const expiresAtMs = Date.now() + this.#keyTtlMs;
      changes.push('add_key', [name, fingerprint, JSON.stringify(answer()), expiresAtMs]);
    }
    const written = this.#file.commit(changes);
    // Possibly no submission awaits this promise.
    written.catch(() => {});
    record.written = written;
    return number;
  }

  /**
   * Usage of earlier processes, oldest first; returned once.
   * @returns {import('./rows.js').UsageRow[]}
   */
  takeUsage() {
    return this.#rows.usage.splice(0);
  }

  /**
   * Adds the usage of a job, unless already added.
   * @param {import('./rows.js').UsageRow} row
   * @param {string} jobId
   */
  addUsage(row, jobId) {
    this.#write(usageChanges(row, jobId));
  }

  /** @param {number} hour last hour whose usage is deleted, with all hours before */
  dropUsage(hour) {
    this.#write(['drop_usage', [hour]]);
  }

  /**
   * Deletes jobs and the keys of their submissions, and overwrites them on the disk.
   * @param {{jobs: string[], keys: string[]}} rows
   * @throws {import('../../internal/util/http-error.js').HttpError} 507 or 503
   */
  async erase({ jobs, keys }) {
    const changes = [
      ...jobs.flatMap((id) => ['erase_tokens', [id], 'erase_job', [id]]),
      ...keys.flatMap((name) => ['drop_key', [name]]),
    ];
    await this.#file.commit(changes, { scrub: true });
  }

  /**
   * Deletes all rows of a principal and overwrites them, with all rows deleted before, on the disk.
   * @param {string} principal
   * @param {import('./rows.js').UsageRow[]} usage its totals, under another name
   * @throws {import('../../internal/util/http-error.js').HttpError} 507 or 503
   */
  async erasePrincipal(principal, usage) {
    const changes = [
      ...['erase_tokens_of', [principal], 'erase_jobs_of', [principal]],
      ...['erase_keys_of', [principal], 'drop_usage_of', [principal]],
      ...usage.flatMap((row) => usageChanges(row)),
    ];
    await this.#file.commit(changes, { scrub: true });
  }

  /** @param {JobRecord} record accepted, whose `extra` has changed */
  writeExtra({ id, extra }) {
    this.#write(['set_extra', [id, stringifyExact(extra)]]);
  }

  /** @param {string} name of a released key */
  dropKey(name) {
    this.#write(['drop_key', [name]]);
  }

  /** @param {number} number of a job whose retention has ended */
  #drop(number) {
    this.#write(['drop_tokens', [number], 'drop_job', [number]]);
  }

  /**
   * @param {(string | import('./sqlite.js').Column[])[]} changes to make without waiting for the
   *   result
   */
  #write(changes) {
    this.#file.commit(changes).catch(() => {
      if (!this.#closed) setTimeout(() => this.#write(changes), RETRY_MS).unref();
    });
  }

  /** Writes queued changes and closes the file. */
  async close() {
    this.#closed = true;
    await this.#file.close();
  }
}

/**
 * @param {import('../settings.js').Settings} options
 * @param {import('../../internal/native/reactor.js').Reactor} reactor
 * @returns {JobStore | undefined} undefined: no data file, all state is in memory
 */
export function openJobStore({ data, idempotency, retentionMs, clock }, reactor) {
  if (data === undefined) return undefined;
  return new JobStore(data, { reactor, keyTtlMs: idempotency.ttlMs, retentionMs, clock });
}
