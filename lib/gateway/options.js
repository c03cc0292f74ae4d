/**
 * The options of `createGateway`, checked and filled in. An error names the option as the caller
 * wrote it and says what it takes.
 */
import { rangeError, typeError } from '../internal/util/errors.js';
import { fromFunction } from '../providers/function.js';
import { ManualClock } from '../internal/time/clock.js';
import { createLogger } from '../internal/util/logger.js';
import { checkConversationLimits, conversationOptions } from '../services/conversations/options.js';
import { checkPartitionLimits } from '../primitives/kv/options.js';
import { checkOrigins, compileAccess } from '../jobs/policy/config.js';
import {
  checkBoolean,
  checkChoice,
  checkFunction,
  checkInteger,
  checkMs,
  checkKnown,
  checkString,
} from '../internal/util/validate.js';

/**
 * @typedef {object} GatewayOptions
 * @property {import('../providers/shared/types.js').Provider | import('../providers/function.js').Generator} provider
 *   one of `providers.*`, an object of that shape, or an `async function*(request, {signal})`
 *   that yields text. The gateway closes it when it closes.
 * @property {{maxBatchSize?: number, idleFlushMs?: number, maxWaitMs?: number}} [batching]
 *   defaults 8, 100 and no bound; without effect for a provider that takes no batches
 * @property {number} [maxInFlightBatches] calls in the provider at once; default 5
 * @property {number} [incomingCapacity] requests that wait for a batch; default 100
 * @property {number} [processingCapacity] batches that wait for a slot; default 10
 * @property {number} [streamCapacity] how many tokens the slowest attached reader may be behind
 *   before the provider has to wait; default 256
 * @property {number} [admissionWaitMs] how long a submission waits for room; default 1000
 * @property {{attempts?: number, baseMs?: number, capMs?: number}} [retry] of a provider's
 *   passing failures before the first token; defaults 3, 250 and 10000
 * @property {'cancel' | 'continue'} [onDisconnect] default of `on_disconnect`: `cancel`
 * @property {number} [disconnectGraceMs] default of `disconnect_grace_ms`: 30000
 * @property {number} [maxWallMs] default of `max_wall_ms`: 300000
 * @property {number} [retentionMs] how long a finished job is kept; default 300000
 * @property {number} [maxRetainedJobs] how many finished jobs are kept at most; default 10000
 * @property {number} [logBytesMax] text kept per job; default 4 MiB
 * @property {number} [reactors] threads that jobs are spread over; default 1, which carries tens of
 *   thousands of tokens a second
 * @property {import('../http/sse/response.js').EgressMode} [egress] who writes streams to their sockets: `auto`
 *   (default) the native reactor where the response is plain HTTP/1.1 on a plain socket, and in
 *   the server of `listen()` it has the connection to itself meanwhile; `shared` the same, but
 *   every connection stays with Node; `node` always Node
 * @property {number} [heartbeatMs] silence on a stream before a comment is sent; default 15000
 * @property {number} [stallMs] a stream whose reader takes nothing for so long is cut; default 10000
 * @property {number} [reconnectMs] what streams tell the browser to wait before it comes back;
 *   default 2000
 * @property {number} [maxStreams] event streams open over HTTP at once; further ones are told to
 *   come back later; default 10000
 * @property {{ttlMs?: number, maxKeys?: number}} [idempotency] defaults 24 h and 100000
 * @property {object} [cache] of answers that jobs with the same question share
 * @property {'off' | 'auto'} [cache.mode] `auto` (default): those of jobs with temperature 0, and
 *   of those that ask for it
 * @property {import('../jobs/execution/cache-policy.js').CacheScope} [cache.scope] who shares them; default
 *   `principal`
 * @property {number} [cache.maxEntries] finished answers kept; default 10000
 * @property {number} [cache.maxBytes] of those; default 64 MiB
 * @property {number} [cache.ttlMs] how long they are kept; default 300000
 * @property {number} [cache.maxJoined] jobs that share a running answer which another one started,
 *   at once; further ones are refused as overloaded; default 10000
 * @property {{allowPrivateAddresses?: boolean}} [crawl] `allowPrivateAddresses` lets crawls connect
 *   to private, loopback and link-local addresses; default false
 * @property {Partial<import('../primitives/kv/options.js').KvPartitionLimits>} [kv] limits of `/v1/kv`, those of a
 *   KvStore: `maxKeys` (1,000,000) and `maxBytes` (256 MiB) of all principals together;
 *   `maxKeysPerPrincipal` (100,000), `maxBytesPerPrincipal` (64 MiB) of keys and values,
 *   `maxKeyBytes` (1024), `maxValueBytes` (1 MiB, which is also what a body may have)
 * @property {Partial<import('../services/conversations/options.js').ConversationLimits>} [conversations]
 *   `maxPerPrincipal` (1000); `maxBytesEach` (1 MiB), `maxBytesPerPrincipal` (64 MiB) and `maxBytes`
 *   (256 MiB, of all principals); `ttlMs` (Infinity) after the last turn; `maxQueued` (100) turns that
 *   wait for one conversation, and `queueWaitMs` (120000) for how long
 * @property {string} [data] a file in which jobs, idempotency keys, what is at `/v1/kv` and the
 *   ledger outlive the process; default: none, they are in memory
 * @property {{processDefaults?: boolean}} [metrics] `processDefaults` adds prom-client's own
 *   metrics of the process; default false
 * @property {import('../jobs/policy/config.js').AccessConfig} [access] keys, limits and allowed models, by
 *   the names that the configuration file has; default: everybody is `anonymous`
 * @property {string[]} [corsOrigins] origins whose pages may call, or `*`, where `access` names none;
 *   default none
 * @property {import('../http/middleware/authenticate.js').Authenticate} [authenticate] who is asking, in place of the keys'
 *   check
 * @property {{files?: string[]}} [logs] `files`: log files, of an engine for one, that are followed for
 *   `/v1/logs`, next to the gateway's own errors; default none
 * @property {false | import('../internal/util/logger.js').Logger} [logger] default: pino on stderr
 * @property {import('../internal/time/clock.js').ManualClock} [clock] for tests; default: real time. Waiting for
 *   admission and for the drain is always in real time.
 */

const known = new Set([
  'provider',
  'batching',
  'maxInFlightBatches',
  'incomingCapacity',
  'processingCapacity',
  'streamCapacity',
  'admissionWaitMs',
  'retry',
  'onDisconnect',
  'disconnectGraceMs',
  'maxWallMs',
  'retentionMs',
  'maxRetainedJobs',
  'logBytesMax',
  'heartbeatMs',
  'stallMs',
  'reconnectMs',
  'maxStreams',
  'egress',
  'reactors',
  'idempotency',
  'data',
  'metrics',
  'cache',
  'crawl',
  'access',
  'corsOrigins',
  'authenticate',
  'kv',
  'conversations',
  'logger',
  'logs',
  'clock',
]);

/**
 * @param {GatewayOptions['logs']} logs
 * @returns {string[]}
 */
function checkLogFiles(logs) {
  const { files = [] } = checkKnown('logs', logs, ['files']);
  if (Array.isArray(files) && files.every((file) => typeof file === 'string' && file !== '')) {
    return files;
  }
  throw typeError('logs.files takes an array of paths');
}

/**
 * @param {unknown} provider
 * @returns {import('../providers/shared/types.js').Provider}
 */
function checkProvider(provider) {
  if (typeof provider === 'function') return fromFunction(/** @type {any} */ (provider));
  const shape = /** @type {any} */ (provider);
  const method = shape?.takesBatches ? 'generateBatch' : 'generate';
  const isProvider = [method, 'relay'].some((name) => typeof shape?.[name] === 'function');
  if (typeof shape !== 'object' || !isProvider) {
    throw typeError(
      'provider takes one of providers.demo(), providers.openai(), providers.llama(), ' +
        'or an async function*(request, {signal})',
    );
  }
  if (!Array.isArray(shape.models) || !shape.models.every(isModel)) {
    throw typeError('provider.models takes an array of {id}; empty: any model is passed on');
  }
  return shape;
}

/** @param {unknown} data */
function checkData(data) {
  if (data === undefined) return undefined;
  if (checkString('data', data) === '') throw rangeError('data takes the path of a file');
  return /** @type {string} */ (data);
}

/** @param {any} model */
function isModel(model) {
  return typeof model?.id === 'string' && model.id !== '';
}

/**
 * @param {GatewayOptions} options
 */
export function checkGatewayOptions(options) {
  const given = checkKnown('createGateway', options, known);
  const batching = checkKnown('batching', given.batching, [
    'maxBatchSize',
    'idleFlushMs',
    'maxWaitMs',
  ]);
  const retry = checkKnown('retry', given.retry, ['attempts', 'baseMs', 'capMs']);
  const idempotency = checkKnown('idempotency', given.idempotency, ['ttlMs', 'maxKeys']);
  const cache = checkKnown('cache', given.cache, [
    'mode',
    'scope',
    'maxEntries',
    'maxBytes',
    'ttlMs',
    'maxJoined',
  ]);
  const crawl = checkKnown('crawl', given.crawl, ['allowPrivateAddresses']);
  const kv = checkKnown('kv', given.kv, [
    'maxKeys',
    'maxKeyBytes',
    'maxValueBytes',
    'maxBytes',
    'maxPinnedBytes',
    'maxKeysPerPrincipal',
    'maxBytesPerPrincipal',
  ]);
  const conversations = checkKnown('conversations', given.conversations, conversationOptions);
  const metrics = checkKnown('metrics', given.metrics, ['processDefaults']);
  if (given.authenticate !== undefined) checkFunction('authenticate', given.authenticate);
  if (given.clock !== undefined && !(given.clock instanceof ManualClock)) {
    throw typeError('clock takes a ManualClock');
  }
  const provider = checkProvider(given.provider);
  const size = (/** @type {string} */ name, /** @type {number} */ fallback, max = 1_000_000) =>
    checkInteger(name, /** @type {any} */ (given)[name], { max, fallback });
  const span = (/** @type {string} */ name, /** @type {number} */ fallback, min = 0) =>
    checkMs(name, /** @type {any} */ (given)[name], { min, fallback });
  const maxBatchSize = checkInteger('batching.maxBatchSize', batching.maxBatchSize, {
    max: 10_000,
    fallback: 8,
  });
  const idleFlushMs = checkMs('batching.idleFlushMs', batching.idleFlushMs, { fallback: 100 });
  const maxWaitMs =
    batching.maxWaitMs === undefined
      ? undefined
      : checkMs('batching.maxWaitMs', batching.maxWaitMs, { infinite: true });
  const capMs = checkMs('retry.capMs', retry.capMs, { fallback: 10_000 });
  return {
    provider,
    // A provider that makes one call per request anyway must not wait for others to join it.
    batching: provider.takesBatches
      ? { maxBatchSize, idleFlushMs, maxWaitMs }
      : { maxBatchSize: 1, idleFlushMs: 0, maxWaitMs: undefined },
    maxInFlightBatches: size('maxInFlightBatches', 5),
    incomingCapacity: size('incomingCapacity', 100),
    processingCapacity: size('processingCapacity', 10),
    streamCapacity: size('streamCapacity', 256),
    admissionWaitMs: span('admissionWaitMs', 1000),
    retry: {
      attempts: checkInteger('retry.attempts', retry.attempts, { max: 100, fallback: 3 }),
      baseMs: checkMs('retry.baseMs', retry.baseMs, { fallback: 250 }),
      capMs,
    },
    onDisconnect: checkChoice('onDisconnect', given.onDisconnect, ['cancel', 'continue'], 'cancel'),
    disconnectGraceMs: span('disconnectGraceMs', 30_000),
    maxWallMs: span('maxWallMs', 300_000, 1),
    retentionMs: span('retentionMs', 300_000),
    maxRetainedJobs: size('maxRetainedJobs', 10_000),
    logBytesMax: size('logBytesMax', 4 << 20, 1 << 30),
    heartbeatMs: span('heartbeatMs', 15_000, 1),
    stallMs: span('stallMs', 10_000, 1),
    reconnectMs: span('reconnectMs', 2000),
    maxStreams: size('maxStreams', 10_000),
    reactors: checkInteger('reactors', given.reactors, { max: 64, fallback: 1 }),
    egress: checkChoice('egress', given.egress, ['auto', 'shared', 'node'], 'auto'),
    idempotency: {
      ttlMs: checkMs('idempotency.ttlMs', idempotency.ttlMs, { fallback: 24 * 3600 * 1000 }),
      maxKeys: checkInteger('idempotency.maxKeys', idempotency.maxKeys, { fallback: 100_000 }),
    },
    cache: {
      mode: checkChoice('cache.mode', cache.mode, ['off', 'auto'], 'auto'),
      scope: checkChoice(
        'cache.scope',
        cache.scope,
        ['principal', 'organisation', 'global'],
        'principal',
      ),
      maxEntries: checkInteger('cache.maxEntries', cache.maxEntries, {
        max: 1_000_000,
        fallback: 10_000,
      }),
      maxBytes: checkInteger('cache.maxBytes', cache.maxBytes, { fallback: 64 << 20 }),
      ttlMs: checkMs('cache.ttlMs', cache.ttlMs, { fallback: 300_000, infinite: true }),
      maxJoined: checkInteger('cache.maxJoined', cache.maxJoined, { fallback: 10_000 }),
    },
    crawl: {
      allowPrivateAddresses: checkBoolean(
        'crawl.allowPrivateAddresses',
        crawl.allowPrivateAddresses,
        false,
      ),
    },
    kv: checkPartitionLimits(kv, 'kv.'),
    conversations: checkConversationLimits(conversations),
    data: checkData(given.data),
    metrics: { processDefaults: metrics.processDefaults === true },
    policy: compileAccess('access', given.access),
    corsOrigins: checkOrigins('corsOrigins', given.corsOrigins),
    authenticate: given.authenticate,
    logger: createLogger(given.logger),
    logFiles: checkLogFiles(given.logs),
    clock: given.clock,
  };
}

/** @typedef {ReturnType<typeof checkGatewayOptions>} CheckedGatewayOptions */
