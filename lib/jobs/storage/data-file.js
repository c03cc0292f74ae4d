import { HttpError } from '../../internal/util/http-error.js';
import { storeControl } from '../../primitives/kv/kv-store.js';
import { STORE_LIMITS } from '../../primitives/kv/namespaces.js';
import { ledgerControl } from '../../primitives/ledger/ledger.js';
import { SqliteStore } from './sqlite.js';

/**
 * @param {unknown} error
 * @returns {HttpError}
 */
function toHttpError(error) {
  const { status } = /** @type {import('./sqlite.js').StoreError} */ (error);
  if (status === 'full') {
    return new HttpError(507, {
      code: 'insufficient_storage',
      type: 'server_error',
      message: 'The disk of the server is full; new data is refused until it has room.',
      headers: { 'Retry-After': '10' },
      cause: error,
    });
  }
  const moved =
    'The data file of the server was renamed, removed or replaced; it has to be restarted.';
  return new HttpError(503, {
    code: status === 'busy' ? 'overloaded' : 'storage_unavailable',
    message:
      status === 'moved' ? moved : 'The server cannot write to its data file; try again later.',
    headers: { 'Retry-After': '1' },
    cause: error,
  });
}

/**
 * A gateway's data file: its rows, the ledger, and the key-value store. The latter two are held in
 * memory and write their changes to the file in order. Main thread; `close()` ends it.
 *
 * The whole file is read before anything is written, so a damaged file is left unchanged.
 * @template R
 */
export class DataFile {
  #store;
  /** Result of `read`. @type {R} */
  rows;
  /** @type {import('../../primitives/ledger/ledger.js').Ledger} */
  ledger;
  /** @type {import('../../primitives/kv/kv-store.js').KvStore<any>} */
  kv;

  /**
   * @param {string} path
   * @param {object} deps
   * @param {import('../../internal/native/reactor.js').Reactor} deps.reactor
   * @param {(store: SqliteStore) => R} deps.read reads the rows of jobs
   * @param {import('../../internal/time/clock.js').ManualClock} [deps.clock]
   * @throws {import('../../internal/util/errors.js').SluiceError} `ERR_DATA_...`
   */
  constructor(path, { reactor, read, clock }) {
    this.#store = new SqliteStore(path);
    try {
      this.rows = read(this.#store);
      this.ledger = ledgerControl.load(this.#store, { clock });
      this.kv = storeControl.load(this.#store, { ...STORE_LIMITS, clock });
    } catch (error) {
      this.#store.release();
      throw error;
    }
    this.#store.start(reactor);
    storeControl.persist(this.kv, this.#store);
    ledgerControl.persist(this.ledger, this.#store);
  }

  /** For the native hubs. */
  get native() {
    return this.#store.native;
  }

  /** Its state and counts, for metrics. */
  get figures() {
    return { ...this.#store.stats, state: this.#store.state };
  }

  /** @returns {boolean} whether the file is writable, now or once the disk has room */
  get usable() {
    const { state } = this.#store;
    return state !== 'corrupt' && state !== 'moved';
  }

  /**
   * Resolves once all changes so far are on the disk.
   * @throws {HttpError} 507 or 503: changes may not be on the disk
   */
  async synced() {
    await this.commit([]);
  }

  /** @throws {HttpError} 507 while the disk is full, 503 while its queue is full */
  checkRoom() {
    const { room } = this.#store;
    if (room !== 'ok') throw toHttpError({ status: room });
  }

  /**
   * Makes changes in one transaction.
   * @param {(string | import('./sqlite.js').Column[])[]} changes as for `SqliteStore.commit`
   * @param {{scrub?: boolean}} [options]
   * @returns {Promise<void>} resolves when they are on the disk
   * @throws {HttpError} 507 or 503
   */
  async commit(changes, options) {
    try {
      await this.#store.commit(changes, options);
    } catch (error) {
      throw toHttpError(error);
    }
  }

  /** Writes queued changes and closes the file. */
  async close() {
    await this.#store.close();
  }
}
