/** Keys of what is shared inside the package and is no part of the public surface. */

/** `clock[kSchedule](source)`: a ManualClock drives `source` from now on. */
export const kSchedule = Symbol('sluice.schedule');

/** An option of `TaskGraph.run`: called with each event at the moment it comes about. */
export const kOnEvent = Symbol('sluice.onEvent');

/** A Pipeline option: `true` when nobody reads `results()`, so that none are kept. */
export const kDiscardResults = Symbol('sluice.discardResults');
