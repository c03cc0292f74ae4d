/** Limits that several processes share, as jobs see them. This file has no code. */

/**
 * What is asked of one limit, as texts: key, cost and limit of places; of a bucket also its window in
 * microseconds, and since when the limit is in force, in Redis's microseconds, empty if that is not known.
 * @typedef {[key: string, cost: string, limit: string, windowUs?: string, sinceUs?: string]} SharedAsk
 */

/**
 * The outcome for one ask, as texts: `1` or `0`; what is left; the wait until it would be granted, `-1` for
 * never, and until all is there again, in microseconds.
 * @typedef {[allowed: string, remaining: string, retryUs: string, resetUs: string]} SharedDecision
 */

/**
 * What is held of one limit, as texts: key, cost, limit, and the window of a bucket.
 * @typedef {[key: string, cost: string, limit: string, windowUs?: string]} SharedHold
 */

/**
 * Leases of this process on limits of the deployment, for work that is no job. `lib/cluster` implements it.
 * A process that dies gives its places back, and is charged what it reserved.
 * @typedef {object} SharedQuotaPort
 * @property {(id: string, asks: SharedAsk[]) => Promise<{allowed: boolean, decisions: SharedDecision[]}>}
 *   reserve takes all or nothing under a new lease. Throws an HttpError: 503 and 507 for Redis
 * @property {(asks: SharedAsk[]) => Promise<SharedDecision[]>} peek gives what is left, and takes nothing. Throws an
 *   HttpError 503 for Redis
 * @property {(id: string, used?: string[]) => Promise<void>} end ends a lease: `used` is charged of each ask,
 *   an empty text as reserved; without `used` all of it is given back. It is tried until Redis answers; the
 *   promise resolves after the first try
 * @property {(id: string, charges: [hold: SharedHold, amount: string][]) => void} charge takes or, below 0,
 *   gives back amounts of buckets, once for each id. It is tried until Redis answers
 * @property {() => number} nowUs Redis's clock, in microseconds; 0 while it is not known
 */

export {};
