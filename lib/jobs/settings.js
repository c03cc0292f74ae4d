/** The checked options of a gateway, as jobs and services use them. This file has no code. */

/**
 * @typedef {object} Settings
 * @property {import('../providers/shared/types.js').Provider} provider
 * @property {{maxBatchSize: number, idleFlushMs: number, maxWaitMs?: number}} batching
 * @property {number} maxInFlightBatches
 * @property {number} incomingCapacity
 * @property {number} processingCapacity
 * @property {number} streamCapacity
 * @property {number} logBytesMax
 * @property {number} heartbeatMs
 * @property {number} stallMs
 * @property {number} reconnectMs
 * @property {number} reactors
 * @property {number} admissionWaitMs
 * @property {{attempts: number, baseMs: number, capMs: number}} retry
 * @property {'cancel' | 'continue'} onDisconnect
 * @property {number} disconnectGraceMs
 * @property {number} maxWallMs
 * @property {number} retentionMs
 * @property {number} maxRetainedJobs
 * @property {number} memoryBudgetBytes
 * @property {{ttlMs: number, maxKeys: number}} idempotency
 * @property {import('./execution/cache-policy.js').CachePolicyOptions &
 *   import('./execution/answer-cache.js').AnswerCacheOptions} cache
 * @property {{allowPrivateAddresses: boolean}} crawl
 * @property {string} [data] path of the data file
 * @property {import('../internal/util/logger.js').Logger} logger
 * @property {import('../internal/time/clock.js').ManualClock} [clock]
 */

export {};
