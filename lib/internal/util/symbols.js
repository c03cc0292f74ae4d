/** Keys of what is shared inside the package and is no part of the public surface. */

/** `clock[SCHEDULE](source)`: a ManualClock drives `source` from now on. */
export const SCHEDULE = Symbol('sluice.schedule');
