import path from 'node:path';
import native from '../../internal/native/addon.js';
import { EventKind } from '../../internal/native/reactor.js';
import { SluiceError } from '../../internal/util/errors.js';
import { realPathOf } from './paths.js';
import { parseExact } from '../../internal/util/exact-json.js';

/**
 * Result of a transaction: `full` no space left, `failed` I/O error, `corrupt` damaged file,
 * `moved` the file was renamed, removed or replaced, `busy` queue full, `closed` store closed.
 * After `corrupt` and `moved` all writes stop.
 * @typedef {'ok' | 'full' | 'failed' | 'corrupt' | 'moved' | 'refused' | 'busy' | 'closed'}
 *   StoreStatus
 */

/** @typedef {null | undefined | number | bigint | string | Uint8Array} Column */

/** Reasons why a file cannot be opened. @type {Record<string, {code: string, reason: string}>} */
const REFUSALS = {
  locked: {
    code: 'ERR_DATA_LOCKED',
    reason: 'is in use: one server at a time may have a data file',
  },
  not_ours: {
    code: 'ERR_DATA_NOT_OURS',
    reason: 'is no data file of sluice; it was left as it is',
  },
  newer: {
    code: 'ERR_DATA_NEWER',
    reason: 'was written by a newer version of sluice; it was left as it is',
  },
  corrupt: { code: 'ERR_DATA_CORRUPT', reason: 'is damaged; it was left as it is' },
  full: { code: 'ERR_DATA_FULL', reason: 'cannot be opened: no space is left on its disk' },
};
const OTHER = { code: 'ERR_DATA_UNAVAILABLE', reason: 'cannot be opened' };

/** A transaction failed and had no effect. */
export class StoreError extends SluiceError {
  /** @param {StoreStatus} status */
  constructor(status) {
    super('ERR_DATA_NOT_WRITTEN', `The data file was not written: ${status}.`);
    this.status = status;
  }
}

/**
 * JavaScript interface of the native store: a data file and the thread that writes it.
 *
 * Opens and reads the file in the caller's thread. After `start()` the store's own thread makes the
 * changes; changes queued during one transaction form the next one. Main thread. `close()` ends it.
 */
export class SqliteStore {
  #native = new native.Store();
  #path;
  /** @type {import('../../internal/native/reactor.js').Reactor | undefined} */
  #reactor;
  #machineId = 0;
  /** @type {Map<number, {resolve: () => void, reject: (error: StoreError) => void}>} */
  #waiting = new Map();
  #nextRequest = 1;

  /**
   * Opens the file, and creates it unless read-only.
   * @param {string} file
   * @param {{readOnly?: boolean}} [options]
   * @throws {SluiceError} `ERR_DATA_...`, naming the file
   */
  constructor(file, { readOnly = false } = {}) {
    this.#path = path.resolve(file);
    const [status, detail] = this.#native.open(realPathOf(file), readOnly);
    if (status === 'ok') return;
    const { code, reason } = REFUSALS[status] ?? OTHER;
    throw new SluiceError(code, `${this.#path} ${reason} (${detail}).`, { path: this.#path });
  }

  /** Handle for the native hub, once started. */
  get native() {
    return this.#native;
  }

  /** @returns {StoreStatus} result of the last transaction */
  get state() {
    return this.#native.state();
  }

  /** @returns {StoreStatus} whether the store accepts new data */
  get room() {
    return this.#native.room();
  }

  /** Number of transactions, committed changes and waiting changes. */
  get stats() {
    const [commits, batches, queued] = this.#native.stats();
    return { commits, batches, queued };
  }

  /**
   * The rows of a query; before `start()` only.
   * @param {string} name
   * @param {Column[]} [values]
   * @returns {any[][]}
   * @throws {SluiceError} `ERR_DATA_CORRUPT`
   */
  select(name, values = []) {
    const rows = this.#native.select(name, values);
    if (rows !== undefined) return rows;
    throw this.#corrupt();
  }

  /**
   * Loads the state of a native machine from the file; before `start()` only.
   * @param {any} machine whose `load` takes the native store and returns a problem, if any
   * @param {unknown[]} more further arguments of `load`
   * @throws {SluiceError} `ERR_DATA_CORRUPT`
   */
  load(machine, ...more) {
    const problem = machine.load(this.#native, ...more);
    if (problem !== '') throw this.#corrupt(problem);
  }

  /**
   * @param {string | null} text a column that holds JSON
   * @returns {any} undefined for null
   * @throws {SluiceError} `ERR_DATA_CORRUPT`
   */
  parse(text) {
    if (text === null) return undefined;
    try {
      return parseExact(text);
    } catch {
      throw this.#corrupt('a text in it is no JSON');
    }
  }

  /** @param {string} [detail] */
  #corrupt(detail) {
    const { code, reason } = REFUSALS.corrupt;
    const more = detail === undefined ? '' : ` (${detail})`;
    return new SluiceError(code, `${this.#path} ${reason}${more}.`, { path: this.#path });
  }

  /** @param {import('../../internal/native/reactor.js').Reactor} reactor that delivers the store's answers */
  start(reactor) {
    this.#reactor = reactor;
    this.#machineId = reactor.register((kind, request, status) => {
      if (kind === EventKind.STORE_WRITTEN) this.#onWritten(request, status);
    });
    this.#native.start(reactor.native, this.#machineId);
  }

  /**
   * Makes changes in one transaction.
   * @param {(string | Column[])[]} changes statement, values, statement, values, ...
   * @param {{scrub?: boolean}} [options] `scrub`: overwrites deleted rows on the disk and empties
   *   the write-ahead log
   * @returns {Promise<void>} resolves when they are on the disk
   * @throws {StoreError}
   */
  commit(changes, { scrub = false } = {}) {
    return new Promise((resolve, reject) => {
      const request = this.#nextRequest++;
      this.#waiting.set(request, { resolve, reject });
      this.#reactor?.ref();
      const taken = this.#native.commit(request, changes, scrub);
      if (taken !== 'ok') this.#onWritten(request, taken);
      else this.#reactor?.settle();
    });
  }

  /**
   * @param {number} request
   * @param {StoreStatus} status
   */
  #onWritten(request, status) {
    const waiting = this.#waiting.get(request);
    if (waiting === undefined) return;
    this.#waiting.delete(request);
    this.#reactor?.unref();
    if (status === 'ok') waiting.resolve();
    else waiting.reject(new StoreError(status));
  }

  /** Closes a file that was not started. */
  release() {
    this.#native.close();
  }

  /**
   * Writes queued changes and closes the file.
   * @returns {Promise<void>}
   */
  async close() {
    // Pending changes complete before the barrier; the rest of closing is quick.
    await this.commit([]).catch(() => {});
    this.#native.close();
    this.#reactor?.unregister(this.#machineId);
  }
}
