/**
 * What a data file holds of state that lives in memory and is written down from there: the ledger.
 * Read before the file's thread starts; from when it is opened on, every change goes to the file in
 * the order in which it was made. Main thread. Ends with the file.
 */
import { Ledger } from '../ledger.js';
import { kKeep, kLoad } from '../symbols.js';

/** See the head of this file. */
export class KeptState {
  #store;
  /** @type {Ledger | undefined} until it is opened */
  #ledger;

  /**
   * @param {import('./sqlite.js').SqliteStore} store not started yet
   * @param {{clock?: import('../clock.js').ManualClock}} options
   * @throws {import('../errors.js').SluiceError} `ERR_DATA_CORRUPT`
   */
  constructor(store, { clock }) {
    this.#store = store;
    this.#ledger = Ledger[kLoad](store, { clock });
  }

  /** @returns {Ledger} once, after the start of the store */
  openLedger() {
    const ledger = /** @type {Ledger} */ (this.#ledger);
    this.#ledger = undefined;
    ledger[kKeep](this.#store);
    return ledger;
  }
}
