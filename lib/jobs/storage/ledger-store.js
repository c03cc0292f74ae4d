/** The ledger of a gateway: in its data file where it has one, in memory otherwise. */
import { Ledger } from '../../primitives/ledger/ledger.js';

/**
 * The one ledger of a gateway, as it was left. Every event is on its way to the data file when its
 * call returns, in the order in which they came about; `store.synced()` resolves when all of them
 * are there. A call that needs something new should ask `store.checkRoom()` first: what the ledger
 * has decided cannot be taken back when the disk is full, and is then written as soon as it can be.
 * @param {object} gateway's own
 * @param {import('./job-store.js').JobStore} [gateway.store] undefined: everything is in memory
 * @param {import('../../internal/time/clock.js').ManualClock} [gateway.clock]
 * @returns {Ledger}
 */
export function openLedger({ store, clock }) {
  return store === undefined ? new Ledger({ clock }) : store.openLedger();
}
