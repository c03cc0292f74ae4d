/** Symbol keys of members that are internal to the package. */

/** `clock[SCHEDULE](source)`: a ManualClock starts to drive `source`. */
export const SCHEDULE = Symbol('sluice.schedule');
