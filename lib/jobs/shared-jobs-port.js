/** What the jobs of several processes have in common, as jobs see it. This file has no code. */

/** @typedef {import('./job.js').JobRecord} JobRecord */

/**
 * A known idempotency key: another request has made the job.
 * @typedef {{id: string, createdAt: number, cache?: import('./job.js').CacheResult}} KnownAnswer
 */

/**
 * What a job takes when it is admitted: see SharedParts.
 * @typedef {object} PartsOfJob
 * @property {Record<string, unknown>} asked plain JSON, by name of the part
 * @property {(results: Record<string, any>) => void} taken called once all is taken
 * @property {(name: string, refusal: any) => Error} refused
 */

/**
 * The jobs of a deployment of several processes. `lib/cluster` implements it; without it, jobs belong to
 * this process alone.
 * @typedef {object} SharedJobsPort
 * @property {(record: JobRecord, limits: {maxWallMs: number, retentionMs: number}, parts: PartsOfJob) =>
 *   Promise<KnownAnswer | undefined>} admit makes the job known to all processes, before it is placed
 *   here, and takes its parts: all of it or nothing; sets its `createdAtMs`. Resolves with the answer of its idempotency key where that is known;
 *   waits for the outcome of a request with the key that another process is about to place. Throws an
 *   HttpError: 422 for a key with another body, 503 and 507 for Redis, or that of the part which refuses
 * @property {(key: import('./admission/idempotency.js').UsedKey) => Promise<KnownAnswer | undefined>} known looks an
 *   idempotency key up, without a job; as `admit` for a known one
 * @property {(record: JobRecord) => Promise<void>} placed the job is in the queue: its key has an answer
 * @property {(record: JobRecord) => Promise<void>} retract takes back a job that found no place, and all of
 *   its parts. It is tried again until Redis answers, and resolves then
 * @property {(record: JobRecord, logs: number) => number} number of the job's row in the journal of logs,
 *   before those of its further choices
 * @property {(record: JobRecord) => void} writeExtra its `extra` has changed
 */

export {};
