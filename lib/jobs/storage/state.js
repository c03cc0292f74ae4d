/**
 * What a data file holds of state that lives in memory and is written down from there: the ledger,
 * and keys with their values.
 * Read before the file's thread starts; from when it is opened on, every change goes to the file in
 * the order in which it was made. Main thread. Ends with the file.
 */
import { KvStore } from '../../primitives/kv/kv-store.js';
import { Ledger } from '../../primitives/ledger/ledger.js';
import { STORE_LIMITS } from '../../primitives/kv/namespaces.js';
import { kKeep, kLoad } from '../../internal/util/symbols.js';

/** See the head of this file. */
export class KeptState {
  #store;
  /** @type {Ledger | undefined} until it is opened */
  #ledger;
  /** @type {KvStore | undefined} as above */
  #kv;

  /**
   * @param {import('./sqlite.js').SqliteStore} store not started yet
   * @param {{clock?: import('../../internal/time/clock.js').ManualClock}} options
   * @throws {import('../../internal/util/errors.js').SluiceError} `ERR_DATA_CORRUPT`
   */
  constructor(store, { clock }) {
    this.#store = store;
    this.#ledger = Ledger[kLoad](store, { clock });
    this.#kv = KvStore[kLoad](store, { ...STORE_LIMITS, clock });
  }

  /** @returns {KvStore} once, after the start of the store */
  openKv() {
    const kv = /** @type {KvStore} */ (this.#kv);
    this.#kv = undefined;
    kv[kKeep](this.#store);
    return kv;
  }

  /** @returns {Ledger} once, after the start of the store */
  openLedger() {
    const ledger = /** @type {Ledger} */ (this.#ledger);
    this.#ledger = undefined;
    ledger[kKeep](this.#store);
    return ledger;
  }
}
