/** Options of jobs: provider, batches, queues, retries and time limits. */

const MANY = 1_000_000;

/**
 * Concurrent calls of the provider. A provider that accepts batches serves several prompts per call; one that
 * accepts a single prompt per call mostly waits for its upstream.
 */
export const MAX_CONCURRENCY = Object.freeze({ batched: 5, unbatched: 64 });

/** @type {readonly import('../../internal/util/option-table.js').OptionRow[]} */
export const JOBS_OPTIONS = Object.freeze([
  {
    path: 'provider',
    type: 'other',
    required: true,
    jsType:
      "import('../providers/shared/types.js').Provider | import('../providers/function.js').Generator",
    takes: '[a provider](#providers)',
    help:
      'source of the text: one of `providers.*`, an object with `generate()` or `generateBatch()`, or an ' +
      '`async function*(request, {signal})` that yields text. `gateway.close()` closes it',
  },
  {
    path: 'batching.maxBatchSize',
    type: 'integer',
    unit: 'prompts',
    max: 10_000,
    default: 8,
    flag: 'max-batch-size',
    help: 'prompts per call, for a provider that accepts batches',
  },
  {
    path: 'batching.idleFlushMs',
    type: 'milliseconds',
    default: 100,
    flag: 'idle-flush-ms',
    help: 'time without a new prompt after which an incomplete batch is sent',
  },
  {
    path: 'batching.maxWaitMs',
    type: 'milliseconds',
    infinite: true,
    flag: 'max-wait-ms',
    help: 'longest wait of the first prompt of a batch',
  },
  {
    path: 'maxConcurrency',
    type: 'integer',
    unit: 'calls',
    max: MANY,
    default: MAX_CONCURRENCY.batched,
    defaultText: `${MAX_CONCURRENCY.batched} for a provider that takes batches, else ${MAX_CONCURRENCY.unbatched}`,
    flag: 'max-concurrency',
    formerly: 'maxInFlightBatches',
    help: 'concurrent calls of the provider; a batch is one call',
  },
  {
    path: 'incomingCapacity',
    type: 'integer',
    unit: 'prompts',
    max: MANY,
    default: 100,
    flag: 'incoming-capacity',
    help: 'prompts that may wait for a batch',
  },
  {
    path: 'processingCapacity',
    type: 'integer',
    unit: 'batches',
    max: MANY,
    default: 10,
    flag: 'processing-capacity',
    help: 'batches that may wait for a call',
  },
  {
    path: 'admissionWaitMs',
    type: 'milliseconds',
    default: 1000,
    flag: 'admission-wait-ms',
    help: 'longest wait of a submission for room, after which it is refused with 503',
  },
  {
    path: 'retry.attempts',
    type: 'integer',
    unit: 'attempts',
    max: 100,
    default: 3,
    flag: 'retry-attempts',
    help: 'attempts of a job; only transient failures before the first token are retried',
  },
  {
    path: 'retry.baseMs',
    type: 'milliseconds',
    default: 250,
    flag: 'retry-base-ms',
    help: 'largest wait before the second attempt; it doubles for each further one, with full jitter',
  },
  {
    path: 'retry.capMs',
    type: 'milliseconds',
    default: 10_000,
    flag: 'retry-cap-ms',
    help: 'largest wait before any attempt',
  },
  {
    path: 'exposeErrors',
    type: 'boolean',
    default: false,
    flag: 'expose-errors',
    help: 'show clients the message of any error that a provider throws',
    more:
      'By default they see the message of errors with a wire code, such as `ProviderError`, and a general ' +
      'message for others, which the log has in full.',
  },
  {
    path: 'onDisconnect',
    type: 'choice',
    choices: ['cancel', 'continue'],
    default: 'cancel',
    flag: 'on-disconnect',
    help: 'default of `on_disconnect`: whether a job continues after its last reader has disconnected',
  },
  {
    path: 'disconnectGraceMs',
    type: 'milliseconds',
    default: 30_000,
    flag: 'disconnect-grace-ms',
    help: 'default of `disconnect_grace_ms`: time for a reader to reconnect',
  },
  {
    path: 'maxWallMs',
    type: 'milliseconds',
    min: 1,
    default: 300_000,
    flag: 'max-wall-ms',
    help: 'default of `max_wall_ms`: time limit of a job, waiting included',
  },
  {
    path: 'retentionMs',
    type: 'milliseconds',
    default: 300_000,
    flag: 'retention-ms',
    help: 'time that a finished job is kept',
  },
  {
    path: 'maxRetainedJobs',
    type: 'integer',
    unit: 'jobs',
    max: MANY,
    default: 10_000,
    flag: 'max-retained-jobs',
    help: 'finished jobs kept; the oldest is dropped first',
  },
]);
