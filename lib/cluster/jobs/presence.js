import { setTimeout as sleep } from 'node:timers/promises';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../operations/own-operations.js').OwnOperation} OwnOperation */

/** Wait before Redis is asked again. */
const AGAIN_MS = 250;

/**
 * A job of another process that has or had readers here.
 * @typedef {object} Reading
 * @property {string} id
 * @property {boolean} isReported whether Redis names this process among the readers
 * @property {boolean} isReporting a call is under way
 */

/**
 * A job, or an operation, of this process that its last reader may end.
 * @typedef {object} Watched
 * @property {JobRecord | OwnOperation} record
 * @property {number} graceMs
 * @property {boolean} elsewhere whether other processes have readers of it
 * @property {boolean} read whether it has had a reader
 * @property {NodeJS.Timeout} [timer] of the grace
 */

/**
 * Readers of jobs, connected to any process: reports readers in this process to the owners of their jobs,
 * and ends a job of this process when its last reader has been gone for its grace. Main thread.
 *
 * Before it ends a job it checks for readers once more; without an answer of Redis the job continues.
 */
export class Presence {
  #hub;
  #cluster;
  #replicas;
  #endJob;
  /** @type {Map<number, Reading>} by handle */
  #readings = new Map();
  /** @type {Map<number, Watched>} by handle */
  #watched = new Map();
  #closed = false;

  /**
   * @param {object} deps
   * @param {import('../../streams/hub.js').JobHub} deps.hub with `countReaders`
   * @param {import('../cluster.js').Cluster} deps.cluster
   * @param {Pick<import('./replicas.js').Replicas, 'byHandle' | 'checkEpoch'>} deps.replicas
   * @param {(record: any) => void} deps.endJob ends a watched job or operation that all its readers have left
   */
  constructor({ hub, cluster, replicas, endJob }) {
    this.#hub = hub;
    this.#cluster = cluster;
    this.#replicas = replicas;
    this.#endJob = endJob;
    hub.events.on('readers', (handle) => this.#onReaders(handle));
    hub.events.on('ended', (handle) => this.#unwatch(handle));
    hub.events.on('purged', (handle) => this.#unwatch(handle));
    cluster.on('message', (message) => this.#onMessage(message));
    cluster.on('joined', () => this.#tellAgain());
  }

  /**
   * Ends a job of this process when its last reader has been gone for `graceMs`. A job that has never
   * had a reader runs to its end.
   * @param {JobRecord | OwnOperation} record accepted
   * @param {number} graceMs
   */
  watch(record, graceMs) {
    const read = this.#hub.hasReader(record.handle);
    this.#watched.set(record.handle, { record, graceMs, elsewhere: false, read });
  }

  /** @param {number} handle */
  #unwatch(handle) {
    clearTimeout(this.#watched.get(handle)?.timer);
    this.#watched.delete(handle);
  }

  /** @param {number} handle */
  #onReaders(handle) {
    const watched = this.#watched.get(handle);
    if (watched !== undefined) this.#update(watched);
    const record = this.#replicas.byHandle(handle);
    if (record?.handle === handle && !this.#readings.has(handle)) {
      this.#readings.set(handle, { id: record.id, isReported: false, isReporting: false });
    }
    const reading = this.#readings.get(handle);
    if (reading !== undefined) void this.#tell(handle, reading);
  }

  /** @param {string} message to this process */
  #onMessage(message) {
    const [kind, id] = message.split(' ');
    if (kind !== 'readers') return;
    for (const { record } of this.#watched.values()) {
      if (record.id === id) void this.#lookElsewhere(record.handle);
    }
  }

  /** @param {Watched} watched whose readers have changed */
  #update(watched) {
    const { record, graceMs, timer } = watched;
    if (watched.elsewhere || this.#hub.hasReader(record.handle)) {
      clearTimeout(timer);
      watched.timer = undefined;
      watched.read = true;
    } else if (watched.read && timer === undefined) {
      watched.timer = setTimeout(() => void this.#endUnlessRead(watched), graceMs);
      watched.timer.unref();
    }
  }

  /** @param {Watched} watched whose grace is over */
  async #endUnlessRead(watched) {
    const { record, timer } = watched;
    if (!(await this.#lookElsewhere(record.handle))) return;
    // A reader that came meanwhile has stopped the timer.
    if (watched.timer !== timer) return;
    this.#unwatch(record.handle);
    this.#endJob(record);
  }

  /**
   * Asks Redis for readers at other processes, until it answers.
   * @param {number} handle
   * @returns {Promise<boolean>} false: the job is no longer watched
   */
  async #lookElsewhere(handle) {
    for (;;) {
      const watched = this.#watched.get(handle);
      if (watched === undefined || this.#closed) return false;
      try {
        const { id } = watched.record;
        const [readers, epoch] = await this.#cluster.redis.commands([
          ['HKEYS', `readers:${id}`],
          ['HGET', 'meta', 'epoch'],
        ]);
        // After a loss the processes with readers report them again.
        if (readers.length === 0) this.#replicas.checkEpoch(epoch);
        const own = this.#cluster.process;
        watched.elsewhere = readers.some((/** @type {string} */ process) => process !== own);
        if (this.#watched.get(handle) === watched) this.#update(watched);
        return true;
      } catch {
        await this.#pause();
      }
    }
  }

  /** Called after this process got a new name, which no owner has as a reader yet. */
  #tellAgain() {
    for (const [handle, reading] of this.#readings) {
      reading.isReported = false;
      void this.#tell(handle, reading);
    }
  }

  /**
   * Reports to the owner of a job whether it has readers here; retries until Redis answers.
   * @param {number} handle
   * @param {Reading} reading
   */
  async #tell(handle, reading) {
    if (reading.isReporting) return;
    reading.isReporting = true;
    while (!this.#closed && reading.isReported !== this.#hub.hasReader(handle)) {
      const present = this.#hub.hasReader(handle);
      const { redis, process } = this.#cluster;
      const args = [process, reading.id, present ? '1' : '0'];
      const answer = await redis.run('readers', [`job:${reading.id}`], args).catch(() => undefined);
      // The name has changed meanwhile: `joined` reports again.
      const isOld = process !== this.#cluster.process;
      // The owner of a lost job writes it again; the replica of one that is gone has no readers.
      const isLost = answer === 'GONE' && present;
      if (answer === undefined || answer === 'BURIED' || isOld || isLost) await this.#pause();
      else reading.isReported = present;
    }
    reading.isReporting = false;
    if (!reading.isReported) this.#readings.delete(handle);
  }

  #pause() {
    return sleep(AGAIN_MS, undefined, { ref: false });
  }

  /** Stops all reports and timers. */
  close() {
    this.#closed = true;
    for (const handle of [...this.#watched.keys()]) this.#unwatch(handle);
  }
}
