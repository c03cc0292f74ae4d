/** Port for jobs shared by several processes. This file has types only. */

/** @typedef {import('./job.js').JobRecord} JobRecord */

/**
 * A known idempotency key: another request created the job.
 * @typedef {{id: string, createdAt: number, cache?: import('./job.js').CacheResult}} KnownAnswer
 */

/**
 * The resources that a job takes at its admission: see SharedParts.
 * @typedef {object} PartsOfJob
 * @property {Record<string, unknown>} asked plain JSON, by name of the part
 * @property {(results: Record<string, any>) => void} taken called once everything is taken
 * @property {(name: string, refusal: any) => Error} refused
 */

/**
 * The jobs of a deployment of several processes. `lib/cluster` implements it; without it, jobs belong to
 * this process only.
 * @typedef {object} SharedJobsPort
 * @property {(record: JobRecord, limits: {maxWallMs: number, retentionMs: number}, parts: PartsOfJob) =>
 *   Promise<KnownAnswer | undefined>} admit announces the job to all processes, before it is placed
 *   here, and takes its parts, all or nothing; sets its `createdAtMs`. Resolves with the answer of its idempotency
 *   key if known; waits for the outcome of a request with the key which another process is placing. Throws an
 *   HttpError: 422 for a key with another body, 503 and 507 from Redis, or the error of the part that refuses
 * @property {(key: import('./admission/idempotency.js').UsedKey) => Promise<KnownAnswer | undefined>} known looks
 *   up an idempotency key, without a job; see `admit` for a known key
 * @property {(record: JobRecord) => Promise<void>} placed records that the job is in the queue: its key gets an
 *   answer
 * @property {(record: JobRecord) => Promise<void>} retract withdraws a job that found no place, and all of
 *   its parts. Retries until Redis answers, then resolves
 * @property {(record: JobRecord, logs: number) => number} number of the job's row in the journal of logs,
 *   before those of its further choices
 * @property {(record: JobRecord) => void} writeExtra writes the changed `extra` of the job
 */

export {};
