/** The checked options of a gateway, for jobs and services. This file has types only. */

// types: OptionValues
/**
 * @typedef {object} OptionValues
 * @property {object} batching
 * @property {number} batching.maxBatchSize prompts per call, for a provider that accepts batches; default 8
 * @property {number} batching.idleFlushMs time without a new prompt after which an incomplete batch is
 *   sent; default 100
 * @property {number} [batching.maxWaitMs] longest wait of the first prompt of a batch
 * @property {number} maxConcurrency concurrent calls of the provider; a batch is one call; default: 5 for a
 *   provider that takes batches, else 64
 * @property {number} incomingCapacity prompts that may wait for a batch; default 100
 * @property {number} processingCapacity batches that may wait for a call; default 10
 * @property {number} admissionWaitMs longest wait of a submission for room, after which it is refused with
 *   503; default 1000
 * @property {object} retry
 * @property {number} retry.attempts attempts of a job; only transient failures before the first token are
 *   retried; default 3
 * @property {number} retry.baseMs largest wait before the second attempt; it doubles for each further one,
 *   with full jitter; default 250
 * @property {number} retry.capMs largest wait before any attempt; default 10000
 * @property {boolean} exposeErrors show clients the message of any error that a provider throws; default
 *   false
 * @property {'cancel' | 'continue'} onDisconnect default of `on_disconnect`: whether a job continues after
 *   its last reader has disconnected; default `cancel`
 * @property {number} disconnectGraceMs default of `disconnect_grace_ms`: time for a reader to reconnect;
 *   default 30000
 * @property {number} maxWallMs default of `max_wall_ms`: time limit of a job, waiting included; default
 *   300000
 * @property {number} retentionMs time that a finished job is kept; default 300000
 * @property {number} maxRetainedJobs finished jobs kept; the oldest is dropped first; default 10000
 * @property {number} headHoldMs longest wait of the OpenAI endpoints for the first token before they send
 *   the head of a stream; default 10000
 * @property {'reasoning_content' | 'reasoning' | 'both'} reasoningField member with the reasoning in
 *   answers of `/v1/chat/completions`; default `reasoning_content`
 * @property {object} embeddings
 * @property {number} embeddings.maxInputs number of waiting inputs, over all requests, at which the
 *   upstream is called; default 256
 * @property {number} embeddings.idleMs time without a further request for embeddings after which the
 *   upstream is called; default 5
 * @property {number} embeddings.maxWaitMs longest wait of a request for embeddings; default 20
 * @property {'refuse' | 'drop'} unsupportedTools handling of tools other than functions in `/v1/responses`;
 *   default `refuse`
 * @property {object} responses
 * @property {number} responses.ttlMs time that `/v1/responses` keeps a stored response after its end;
 *   default 86400000
 * @property {number} responses.maxCount stored responses; beyond this the oldest is deleted; default 10000
 * @property {number} responses.maxBytes size of the stored responses with their inputs; beyond this the
 *   oldest is deleted; default 268435456 bytes
 * @property {number} streamCapacity tokens by which the slowest reader may lag before the provider is
 *   paused; default 256
 * @property {number} stallMs time without progress after which a reader is disconnected; default 10000
 * @property {number} logBytesMax text kept per job; the oldest is dropped first, which a `gap` event
 *   announces; default 4194304 bytes
 * @property {number} heartbeatMs silence on a stream before a comment line is sent; default 15000
 * @property {number} reconnectMs the `retry:` of streams: time that a browser waits before it reconnects;
 *   default 2000
 * @property {number} maxStreams event streams open over HTTP at once; further ones are closed at once, with
 *   a longer `retry:`; default 10000
 * @property {'auto' | 'shared' | 'node'} egress writer of streams to their sockets: the native thread
 *   (`auto`, `shared`) or Node (`node`); default `auto`
 * @property {object} idempotency
 * @property {number} idempotency.ttlMs time that an idempotency key is kept; default 86400000
 * @property {number} idempotency.maxKeys idempotency keys kept; further ones are refused with 507; default
 *   1000000
 * @property {object} cache
 * @property {'off' | 'auto'} cache.mode share answers between identical prompts: `auto` at temperature 0,
 *   and for jobs that request it; default `auto`
 * @property {'principal' | 'organisation' | 'global'} cache.scope callers that share answers: each key
 *   alone, the keys of one organisation, or all; default `principal`
 * @property {number} cache.maxEntries finished answers kept for sharing; default 10000
 * @property {number} cache.maxBytes size of all finished answers kept for sharing; default 67108864 bytes
 * @property {number} cache.ttlMs time for which a finished answer may be shared; default 300000
 * @property {number} cache.maxJoined jobs that share running answers of other jobs; further ones are
 *   refused as overloaded; default 10000
 * @property {object} crawl
 * @property {boolean} crawl.allowPrivateAddresses let crawls connect to private, loopback and link-local
 *   addresses; default false
 * @property {object} kv
 * @property {number} kv.maxKeys keys of the store; expired keys do not count; default 1000000
 * @property {number} kv.maxKeyBytes size of one key as UTF-8; default 1024 bytes
 * @property {number} kv.maxValueBytes size of one value, as UTF-8 or JSON unless it is a buffer; default
 *   1048576 bytes
 * @property {number} kv.maxBytes size of all keys and values of the store; default 268435456 bytes
 * @property {number} kv.maxPinnedBytes size of replaced values that open snapshots still need; beyond this
 *   no value can be set; default: as `maxBytes`
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
 * @property {number} conversations.ttlMs time to live of a conversation without a `ttl_s`, from its last
 *   turn; default Infinity
 * @property {number} conversations.maxQueued turns that may wait for one conversation; default 100
 * @property {number} conversations.queueWaitMs longest wait of a turn for its conversation, in real time;
 *   default 120000
 * @property {object} durable
 * @property {number} durable.maxStreams durable streams of all principals together; default 100000
 * @property {number} durable.maxStreamsPerPrincipal durable streams of one principal; default 10000
 * @property {number} durable.maxBytes durable streams of all principals together, with about 40 bytes per
 *   append; default 268435456 bytes
 * @property {number} durable.maxBytesPerPrincipal content of the durable streams of one principal; default
 *   67108864 bytes
 * @property {number} durable.maxAppendBytes body of one request to a durable stream; default 8388608 bytes
 * @property {number} durable.ttlMs time to live of a durable stream without `Stream-TTL` and
 *   `Stream-Expires-At`, from its last use; default Infinity
 * @property {number} durable.longPollMs longest wait of a long poll of a durable stream, in real time;
 *   default 3000
 * @property {number} durable.sseMs duration of an event stream of a durable stream, after which its client
 *   reconnects, in real time; default 60000
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
 * @property {number} audit.maxEntries entries kept in the audit log; beyond this the oldest entry of the
 *   caller with the most entries is dropped; default 10000
 * @property {object} telemetry
 * @property {boolean} telemetry.enabled report spans and metrics to the OpenTelemetry SDK of the
 *   application, if it has one; default true
 * @property {boolean} telemetry.content put prompts and answers into spans; default false
 * @property {string} [data] file that keeps jobs, idempotency keys, `/v1/kv` and the ledger across restarts
 * @property {number} reactors native threads for jobs; one handles tens of thousands of tokens a second;
 *   default 1
 * @property {number} memoryBudgetBytes content held in memory: logs of jobs, prompts, bodies, workflows,
 *   keys and values; default: a quarter of the memory, at most 2 GiB
 * @property {number} maxBodyBytes size of the JSON body of a request; default 33554432 bytes
 * @property {number} bodyIdleMs time without data in a request body after which the request ends with 408;
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
