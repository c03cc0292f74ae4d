/** Types of admission: submissions, their outcomes, and the ports of other components. This file has types only. */

/**
 * @typedef {object} Answer response to a submission, replayed for its key
 * @property {string} id
 * @property {number} createdAt Unix seconds
 * @property {import('../job.js').CacheResult} [cache] absent when its answer is not shared
 */

/**
 * @typedef {object} Submission
 * @property {Readonly<import('../policy/config.js').Access>} access of the job's caller
 * @property {string} [idempotencyKey]
 * @property {string} [cacheControl] a `Cache-Control` header
 * @property {string} [endpoint] endpoint of the request; default that of jobs
 * @property {import('../../internal/util/abort.js').Abortable} [signal] gives up waiting for room; ignored with a
 *   key, because other requests may wait for its outcome
 * @property {number} [near] handle of a job whose reactor it shares
 * @property {unknown} [face] plain JSON of the route that interpreted the request; kept in
 *   `record.extra.face`, also in the data file. The log of such a job is never trimmed
 */

/**
 * A request in the format of another API, and its submission.
 * @typedef {import('../checked-request.js').InterpretedRequest & Submission & {fingerprint?: unknown}}
 *   InterpretedSubmission `fingerprint`: path and body, which a
 *   repeated request with the same idempotency key must equal, as JSON
 */

/**
 * @typedef {object} Outcome of an interpreted request
 * @property {import('../job.js').JobRecord} record
 * @property {boolean} replayed the key was known
 * @property {QuotaEntry[]} entries amounts reserved now and remaining
 */

/** @typedef {import('../checked-request.js').CheckedRequest} CheckedRequest */

/**
 * @typedef {object} SubmittedJob
 * @property {Answer} answer
 * @property {import('../job.js').JobRecord} [record] a job created by this call
 * @property {boolean} replayed whether the key was known
 * @property {QuotaEntry[]} entries amounts reserved now and remaining
 */

/**
 * A submission with the members that admission adds.
 * @typedef {Submission & {part?: import('../job.js').Part,
 *   covered?: import('../rate-limits/reservations.js').Covered,
 *   used?: import('./idempotency.js').UsedKey}} OwnSubmission
 */

/**
 * A job that was created, or not created because its key already has an answer.
 * @typedef {{record: import('../job.js').JobRecord, known?: Answer}} Admitted
 */

/**
 * @typedef {object} ChildSubmission
 * @property {Submission['access']} access
 * @property {import('../job.js').Part} part
 * @property {AbortSignal} signal not aborted yet
 * @property {import('../rate-limits/reservations.js').Covered} covered the reservation of its
 *   operation
 */

/** @typedef {import('../../primitives/limiters/quota.js').QuotaEntry} QuotaEntry */

/**
 * Interface of conversation turns for admission.
 * @typedef {object} TurnsPort
 * @property {(record: import('../job.js').JobRecord, signal?: import('../../internal/util/abort.js').Abortable) =>
 *   Promise<CheckedRequest>} begin resolves with the request for the provider,
 *   the history included
 * @property {(record: import('../job.js').JobRecord) => void} rollback undoes `begin`
 * @property {(record: import('../job.js').JobRecord) => void} [decided] in a deployment: called when the admission
 *   has an outcome
 */

/**
 * Interface of billing for admission.
 * @typedef {object} BillingPort
 * @property {(request: CheckedRequest, model: string) =>
 *   CheckedRequest} bounded the request, with a token limit if it is priced
 * @property {(record: import('../job.js').JobRecord, request: CheckedRequest,
 *   access: Readonly<import('../policy/config.js').Access>,
 *   how?: {answer?: import('../job.js').JobRecord, cached?: boolean}) => void} hold throws an HttpError 402
 * @property {(record: import('../job.js').JobRecord) => void} releaseHold releases the hold of a job that was not
 *   placed
 * @property {(record: import('../job.js').JobRecord) => void} voidJob cancels the billing of a job that was placed,
 *   then refused
 */

/**
 * Reservations and charges of the child jobs of a deployment, which are not admitted by its scripts.
 * @typedef {object} PartCharges
 * @property {Pick<import('../rate-limits/shared-reservations.js').SharedReservations, 'forPart'>} reservations
 * @property {CallsPort} calls
 */

/**
 * Billing of calls that are charged like a job, for admission; see `CallBilling`.
 * @typedef {object} CallsPort
 * @property {(record: import('../job.js').JobRecord, request: CheckedRequest,
 *   access: Readonly<import('../policy/config.js').Access>) => void | Promise<void>} hold throws an HttpError
 * @property {(record: import('../job.js').JobRecord) => void | Promise<void>} release
 */

/**
 * Further dependencies of admission in a deployment of several processes.
 * @typedef {object} DeploymentDeps
 * @property {import('../shared-jobs-port.js').SharedJobsPort} shared
 * @property {import('../shared-parts.js').SharedParts} parts takes the place of `reservations` and of the
 *   holds of `billing`
 * @property {PartCharges} charges reservations of child jobs
 */

/**
 * @typedef {object} AdmissionOptions
 * @property {import('../../providers/shared/types.js').Provider} provider
 * @property {number} admissionWaitMs time limit of a job's wait for room in the queue
 * @property {{ttlMs: number, maxKeys: number}} idempotency
 * @property {import('../execution/cache-policy.js').CachePolicyOptions} cache
 */

/**
 * @typedef {object} AdmissionDeps
 * @property {AdmissionOptions} options
 * @property {() => number} nowMs monotonic milliseconds
 * @property {import('../../streams/hub.js').JobHub} hub
 * @property {import('../../primitives/scheduling/pipeline.js').Pipeline<import('../job.js').JobRecord>} pipeline
 * @property {import('../execution/lifecycle.js').JobLifecycle} lifecycle
 * @property {import('../job-directory.js').JobDirectory} directory
 * @property {import('../execution/answer-cache.js').AnswerCache} cache
 * @property {import('../rate-limits/reservations.js').Reservations} reservations
 * @property {BillingPort} billing
 * @property {TurnsPort} turns
 * @property {() => unknown} [context] the context of the current request for traces; default: none
 * @property {(request: CheckedRequest, within: string) => object | undefined} webhookOf checks `webhook_url`
 *   and returns plain JSON to keep with the job, if it has one; throws an HttpError. `within`: prefix of the
 *   member's name
 * @property {import('../storage/job-store.js').JobStore} [store] default: jobs are in memory only
 * @property {import('../../internal/util/memory-budget.js').MemoryBudget} [memory] default: none
 * @property {DeploymentDeps} [deployment] default: the jobs belong to this process only
 * @property {() => boolean} [hasPrincipals] whether callers are distinguished; default no
 */

export {};
