/** Port for limits shared by several processes. This file has types only. */

/**
 * A request to one limit, as strings: key, cost and limit of places; for a bucket also its window in
 * microseconds, and the time since which the limit is in force, in Redis's microseconds, empty if unknown.
 * @typedef {[key: string, cost: string, limit: string, windowUs?: string, sinceUs?: string]} SharedAsk
 */

/**
 * The outcome for one ask, as strings: `1` or `0`; the remaining amount; the wait until it would be granted, `-1`
 * for never, and the wait until the whole limit is available, in microseconds.
 * @typedef {[allowed: string, remaining: string, retryUs: string, resetUs: string]} SharedDecision
 */

/**
 * A reservation of one limit, as strings: key, cost, limit, and the window of a bucket.
 * @typedef {[key: string, cost: string, limit: string, windowUs?: string]} SharedHold
 */

/**
 * Leases of this process on limits of the deployment, for work that is not a job. `lib/cluster` implements it.
 * When a process dies, its places become free and its reservations are charged.
 * @typedef {object} SharedQuotaPort
 * @property {(id: string, asks: SharedAsk[]) => Promise<{allowed: boolean, decisions: SharedDecision[]}>}
 *   reserve takes all or nothing under a new lease. Throws an HttpError: 503 and 507 from Redis
 * @property {(asks: SharedAsk[]) => Promise<SharedDecision[]>} peek returns the remaining amounts without a
 *   reservation. Throws an HttpError 503 while Redis is away
 * @property {(id: string, used?: string[]) => Promise<void>} end ends a lease: `used` is charged for each ask,
 *   an empty string as reserved; without `used` everything is returned. Retries until Redis answers; the
 *   promise resolves after the first attempt
 * @property {(id: string, charges: [hold: SharedHold, amount: string][]) => void} charge charges or, if negative,
 *   returns amounts of buckets, once for each id. Retries until Redis answers
 * @property {() => number} nowUs Redis's clock, in microseconds; 0 while unknown
 */

export {};
