/** The checked options of a gateway, as jobs and services use them. This file has no code. */

// types: OptionValues
/**
 * @typedef {object} OptionValues
 * @property {object} batching
 * @property {number} batching.maxBatchSize prompts in one call, for a provider that takes batches; default
 *   8
 * @property {number} batching.idleFlushMs time without a new prompt after which a batch is sent although it
 *   is not full; default 100
 * @property {number} [batching.maxWaitMs] longest wait of the first prompt of a batch
 * @property {number} maxConcurrency calls in the provider at once; a batch is one call; default: 5 for a
 *   provider that takes batches, else 64
 * @property {number} incomingCapacity prompts that may wait for a batch; default 100
 * @property {number} processingCapacity batches that may wait for a call; default 10
 * @property {number} admissionWaitMs how long a submission waits for room before it is refused with 503;
 *   default 1000
 * @property {object} retry
 * @property {number} retry.attempts attempts of a job; only transient failures before the first token are
 *   retried; default 3
 * @property {number} retry.baseMs largest wait before the second attempt; it doubles for each further one,
 *   with full jitter; default 250
 * @property {number} retry.capMs largest wait before any attempt; default 10000
 * @property {boolean} exposeErrors show clients the message of any error that a provider throws; default
 *   false
 * @property {'cancel' | 'continue'} onDisconnect default of `on_disconnect`: whether a job goes on after
 *   its last reader has left; default `cancel`
 * @property {number} disconnectGraceMs default of `disconnect_grace_ms`: time for a reader to come back;
 *   default 30000
 * @property {number} maxWallMs default of `max_wall_ms`: time a job may take, waiting included; default
 *   300000
 * @property {number} retentionMs how long a finished job is kept; default 300000
 * @property {number} maxRetainedJobs finished jobs kept; the oldest is dropped first; default 10000
 * @property {number} headHoldMs how long the OpenAI endpoints wait for the first token before they send the
 *   head of a stream; default 10000
 * @property {'reasoning_content' | 'reasoning' | 'both'} reasoningField member that carries reasoning in
 *   the answers of `/v1/chat/completions`; default `reasoning_content`
 * @property {object} embeddings
 * @property {number} embeddings.maxInputs waiting inputs, of all requests together, at which the call of
 *   the upstream is made; default 256
 * @property {number} embeddings.idleMs time without a further request for embeddings after which the call
 *   is made; default 5
 * @property {number} embeddings.maxWaitMs longest wait of a request for embeddings; default 20
 * @property {'refuse' | 'drop'} unsupportedTools handling of tools other than functions in `/v1/responses`;
 *   default `refuse`
 * @property {object} responses
 * @property {number} responses.ttlMs how long `/v1/responses` keeps a stored response after its end;
 *   default 86400000
 * @property {number} responses.maxCount stored responses; beyond it the oldest is deleted first; default
 *   10000
 * @property {number} responses.maxBytes bytes of the stored responses, with their inputs; the oldest is
 *   deleted first; default 268435456 bytes
 * @property {number} streamCapacity tokens by which the slowest reader may lag before the provider waits;
 *   default 256
 * @property {number} stallMs time without progress after which a reader is cut off; default 10000
 * @property {number} logBytesMax text kept per job; the oldest is dropped first, which a `gap` event
 *   announces; default 4194304 bytes
 * @property {number} heartbeatMs silence on a stream before a comment line is sent; default 15000
 * @property {number} reconnectMs the `retry:` of streams: how long a browser waits before it reconnects;
 *   default 2000
 * @property {number} maxStreams event streams open over HTTP at once; further ones end at once, with a
 *   longer `retry:`; default 10000
 * @property {'auto' | 'shared' | 'node'} egress writer of streams to their sockets: `auto` and `shared` the
 *   native thread, `node` Node; default `auto`
 * @property {object} idempotency
 * @property {number} idempotency.ttlMs how long an idempotency key is kept; default 86400000
 * @property {number} idempotency.maxKeys idempotency keys kept; further ones are refused with 507; default
 *   1000000
 * @property {object} cache
 * @property {'off' | 'auto'} cache.mode share the answers of identical prompts: `auto` at temperature 0,
 *   and where a job asks for it; default `auto`
 * @property {'principal' | 'organisation' | 'global'} cache.scope callers who share answers: one key, the
 *   keys of one organisation, or all; default `principal`
 * @property {number} cache.maxEntries finished answers kept for sharing; default 10000
 * @property {number} cache.maxBytes size of all finished answers kept for sharing; default 67108864 bytes
 * @property {number} cache.ttlMs how long a finished answer may be shared; default 300000
 * @property {number} cache.maxJoined jobs that share running answers of other jobs; further ones are
 *   refused as overloaded; default 10000
 * @property {object} crawl
 * @property {boolean} crawl.allowPrivateAddresses let crawls connect to private, loopback and link-local
 *   addresses; default false
 * @property {object} kv
 * @property {number} kv.maxKeys keys of the store; expired keys do not count; default 1000000
 * @property {number} kv.maxKeyBytes size of one key as UTF-8; default 1024 bytes
 * @property {number} kv.maxValueBytes size of one value, as UTF-8 or JSON where it is no buffer; default
 *   1048576 bytes
 * @property {number} kv.maxBytes size of all keys and values of the store; default 268435456 bytes
 * @property {number} kv.maxPinnedBytes replaced values that open snapshots still show; beyond it nothing is
 *   set; default: as `maxBytes`
 * @property {number} kv.maxKeysPerPrincipal keys of one principal; default 100000
 * @property {number} kv.maxBytesPerPrincipal keys and values of one principal; default 67108864 bytes
 * @property {object} conversations
 * @property {number} conversations.maxPerPrincipal conversations of one principal; default 1000
 * @property {number} conversations.maxBytesEach messages of one conversation, as JSON; the answer of an
 *   accepted turn may exceed it; default 1048576 bytes
 * @property {number} conversations.maxBytesPerPrincipal all conversations of one principal; default
 *   67108864 bytes
 * @property {number} conversations.maxBytes conversations of all principals together; default 268435456
 *   bytes
 * @property {number} conversations.ttlMs how long a conversation without a `ttl_s` is kept after its last
 *   turn; default Infinity
 * @property {number} conversations.maxQueued turns that may wait for one conversation; default 100
 * @property {number} conversations.queueWaitMs how long a turn waits for its conversation, in real time;
 *   default 120000
 * @property {object} durable
 * @property {number} durable.maxStreams durable streams of all principals together; default 100000
 * @property {number} durable.maxStreamsPerPrincipal durable streams of one principal; default 10000
 * @property {number} durable.maxBytes durable streams of all principals together, with about 40 bytes per
 *   append; default 268435456 bytes
 * @property {number} durable.maxBytesPerPrincipal content of the durable streams of one principal; default
 *   67108864 bytes
 * @property {number} durable.maxAppendBytes body of one request to a durable stream; default 8388608 bytes
 * @property {number} durable.ttlMs how long a durable stream without `Stream-TTL` and `Stream-Expires-At`
 *   is kept after its last use; default Infinity
 * @property {number} durable.longPollMs how long a long poll of a durable stream waits, in real time;
 *   default 3000
 * @property {number} durable.sseMs how long an event stream of a durable stream lasts before its client
 *   connects again, in real time; default 60000
 * @property {object} webhookUrls
 * @property {string[]} [webhookUrls.allowedHosts] hosts that the `webhook_url` of a job may name:
 *   `hooks.example`, `*.example`, `hooks.example:8443`
 * @property {boolean} webhookUrls.allowPrivateAddresses let the webhooks of jobs connect to private,
 *   loopback and link-local addresses; default false
 * @property {object} webhookDelivery
 * @property {number} webhookDelivery.timeoutMs longest wait for the answer to a webhook; default 15000
 * @property {number} webhookDelivery.retryForMs time after the event in which an undelivered webhook is
 *   attempted again; default 86400000
 * @property {number} webhookDelivery.maxBytes undelivered and failed webhooks kept; one caller may use half
 *   of it; default 67108864 bytes
 * @property {number} webhookDelivery.maxFailed failed webhooks kept for a replay; the oldest is dropped
 *   first; default 1000
 * @property {object} audit
 * @property {number} audit.maxEntries entries of the audit log; beyond it the oldest of the caller with
 *   most entries is dropped; default 10000
 * @property {object} telemetry
 * @property {boolean} telemetry.enabled report spans and metrics to the OpenTelemetry SDK of the
 *   application, if it has one; default true
 * @property {boolean} telemetry.content put prompts and answers into spans; default false
 * @property {string} [data] file that keeps jobs, idempotency keys, `/v1/kv` and the ledger across restarts
 * @property {number} reactors native threads that jobs are spread over; one carries tens of thousands of
 *   tokens a second; default 1
 * @property {number} memoryBudgetBytes content held in memory: logs of jobs, prompts, bodies, workflows,
 *   keys and values; default: a quarter of the memory, at most 2 GiB
 * @property {number} maxBodyBytes size of the JSON body of a request; default 33554432 bytes
 * @property {number} bodyIdleMs silence of a client within a body after which the request ends with 408;
 *   default 30000
 * @property {object} metrics
 * @property {boolean} metrics.processDefaults add prom-client's metrics of the process to `/metrics`;
 *   default false
 * @property {string} [configFile] JSON file whose `keys` member receives changes of keys over HTTP
 * @property {'local' | 'all' | 'none'} trustProxy proxies whose X-Forwarded-Prefix is trusted for URLs in
 *   answers: those with a private or loopback address, all, or none; default `local`
 */
// end of types

/**
 * The options, including provider, logger and clock.
 * @typedef {OptionValues & {
 *   provider: import('../providers/shared/types.js').Provider,
 *   logger: import('../internal/util/logger.js').Logger,
 *   clock?: import('../internal/time/clock.js').ManualClock,
 * }} Settings
 */

export {};
