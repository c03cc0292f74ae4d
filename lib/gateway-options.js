/**
 * The options of `createGateway`, checked and filled in. An error names the option as the caller
 * wrote it and says what it takes.
 */
import { typeError } from './errors.js';
import { fromFunction } from './providers/function.js';
import { ManualClock } from './clock.js';
import { createLogger } from './log.js';
import { checkChoice, checkFunction, checkInteger, checkMs, checkOptions } from './validate.js';

/**
 * @typedef {object} GatewayOptions
 * @property {import('./providers/types.js').Provider | Function} provider
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
 * @property {'auto' | 'node'} [egress] who writes streams to their sockets: `auto` (default) the
 *   native reactor where the response is plain HTTP/1.1 on a plain socket, `node` always Node
 * @property {number} [heartbeatMs] silence on a stream before a comment is sent; default 15000
 * @property {number} [stallMs] a stream whose reader takes nothing for so long is cut; default 10000
 * @property {number} [reconnectMs] what streams tell the browser to wait before it comes back;
 *   default 2000
 * @property {number} [maxStreams] event streams open over HTTP at once; further ones are told to
 *   come back later; default 10000
 * @property {{ttlMs?: number, maxKeys?: number}} [idempotency] defaults 24 h and 100000
 * @property {{processDefaults?: boolean}} [metrics] `processDefaults` adds prom-client's own
 *   metrics of the process; default false
 * @property {import('./auth.js').Authenticate} [authenticate] who is asking; default: everybody
 *   is `anonymous`
 * @property {false | import('./log.js').Logger} [logger] default: pino on stderr
 * @property {import('./clock.js').ManualClock} [clock] for tests; default: real time. Waiting for
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
  'metrics',
  'authenticate',
  'logger',
  'clock',
]);

/**
 * @template {object} T
 * @param {string} name
 * @param {T | undefined} value
 * @param {Iterable<string>} names
 * @returns {T}
 */
function checkKnown(name, value, names) {
  const options = checkOptions(name, value);
  const allowed = new Set(names);
  for (const key of Object.keys(options)) {
    if (allowed.has(key)) continue;
    throw typeError(`${name} has no option ${key}; it takes ${[...allowed].join(', ')}`);
  }
  return options;
}

/**
 * @param {unknown} provider
 * @returns {import('./providers/types.js').Provider}
 */
function checkProvider(provider) {
  if (typeof provider === 'function') return fromFunction(/** @type {any} */ (provider));
  const shape = /** @type {any} */ (provider);
  const method = shape?.takesBatches ? 'generateBatch' : 'generate';
  if (typeof shape !== 'object' || shape === null || typeof shape[method] !== 'function') {
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
    egress: checkChoice('egress', given.egress, ['auto', 'node'], 'auto'),
    idempotency: {
      ttlMs: checkMs('idempotency.ttlMs', idempotency.ttlMs, { fallback: 24 * 3600 * 1000 }),
      maxKeys: checkInteger('idempotency.maxKeys', idempotency.maxKeys, { fallback: 100_000 }),
    },
    metrics: { processDefaults: metrics.processDefaults === true },
    authenticate: given.authenticate,
    logger: createLogger(given.logger),
    clock: given.clock,
  };
}

/** @typedef {ReturnType<typeof checkGatewayOptions>} CheckedGatewayOptions */
