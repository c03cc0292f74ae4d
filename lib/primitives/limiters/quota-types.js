/** Options of a quota. This file has types only. */

/**
 * @typedef {object} WindowedLimit a token bucket for each key
 * @property {number} limit an integer from 0: this amount at once, and again in every window,
 *   continuously; 0 grants nothing
 * @property {number} windowMs
 */
/**
 * @typedef {object} ConcurrentLimit
 * @property {number} concurrent an integer from 0: this many at a time for each key
 */
/**
 * @typedef {object} QuotaOptions
 * @property {Record<string, WindowedLimit | ConcurrentLimit>} limits the dimensions by name
 * @property {number} [leaseMs] time to live of a lease unless it is ended or renewed; default
 *   600000
 * @property {number} [maxKeys] of each windowed dimension, as in TokenBucketLimiter; default
 *   1,000,000
 * @property {number} [maxLeases] maximum open leases; default 100,000. Further reservations are
 *   denied, with `leases` among the failed dimensions
 * @property {import('../../internal/time/clock.js').ManualClock} [clock] default: the monotonic clock
 */
/**
 * @typedef {object} QuotaAsk
 * @property {string} dimension
 * @property {string} [key] default: `key` of the options
 * @property {number} [cost] an integer from 0; default 1
 */

export {};
