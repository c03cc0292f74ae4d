/** Keys of what is shared inside the package and is no part of the public surface. */

/** `clock[kSchedule](source)`: a ManualClock drives `source` from now on. */
export const kSchedule = Symbol('sluice.schedule');

/** A KvStore's method: a transaction within one turn of the event loop, by the gateway's routes. */
export const kTransactNow = Symbol('sluice.transactNow');

/** An option of `TaskGraph.run`: called with each event at the moment it comes about. */
export const kOnEvent = Symbol('sluice.onEvent');

/** A Pipeline option: `true` when nobody reads `results()`, so that none are kept. */
export const kDiscardResults = Symbol('sluice.discardResults');

/** `Ledger[kLoad](store, options)`, `KvStore[kLoad](store, options)`: what a data file has of one. */
export const kLoad = Symbol('sluice.load');

/** `ledger[kKeep](store)`, `kvStore[kKeep](store)`: changes are written to a data file from now on. */
export const kKeep = Symbol('sluice.keep');
