/** The options of a gateway: their defaults, which nothing else has. */
import { checkCloseOptions, checkGatewayOptions } from '../../../lib/gateway/options.js';
import { GATEWAY_OPTIONS } from '../../../lib/gateway/option-table.js';

const unbatched = { models: [], takesBatches: false, generate() {} };
const batched = { models: [], takesBatches: true, generateBatch() {} };
const check = (options) => checkGatewayOptions({ logger: false, ...options });

test('the defaults', () => {
  expect(check({ provider: batched })).toMatchObject({
    batching: { maxBatchSize: 8, idleFlushMs: 100, maxWaitMs: undefined },
    ...{ maxConcurrency: 5, incomingCapacity: 100, processingCapacity: 10, streamCapacity: 256 },
    ...{ admissionWaitMs: 1000, retry: { attempts: 3, baseMs: 250, capMs: 10_000 } },
    ...{ onDisconnect: 'cancel', disconnectGraceMs: 30_000, maxWallMs: 300_000 },
    ...{ retentionMs: 300_000, maxRetainedJobs: 10_000, logBytesMax: 4_194_304 },
    ...{ heartbeatMs: 15_000, stallMs: 10_000, reconnectMs: 2000, maxStreams: 10_000 },
    ...{ reactors: 1, egress: 'auto', idempotency: { ttlMs: 86_400_000, maxKeys: 1_000_000 } },
    cache: {
      ...{ mode: 'auto', scope: 'principal', maxEntries: 10_000, maxBytes: 67_108_864 },
      ...{ ttlMs: 300_000, maxJoined: 10_000 },
    },
    crawl: { allowPrivateAddresses: false },
    kv: {
      ...{ maxKeys: 1_000_000, maxKeyBytes: 1024, maxValueBytes: 1_048_576 },
      ...{ maxBytes: 268_435_456, maxPinnedBytes: 268_435_456 },
      ...{ maxKeysPerPrincipal: 100_000, maxBytesPerPrincipal: 67_108_864 },
    },
    conversations: {
      ...{ maxPerPrincipal: 1000, maxBytesEach: 1_048_576, maxBytesPerPrincipal: 67_108_864 },
      ...{ maxBytes: 268_435_456, ttlMs: Infinity, maxQueued: 100, queueWaitMs: 120_000 },
    },
    ...{ metrics: { processDefaults: false }, logFiles: [], corsOrigins: [] },
  });
  expect(checkCloseOptions(undefined)).toEqual({ drainMs: 10_000 });
});

test('a provider of one prompt per call has more calls, and no batches', () => {
  const { batching, maxConcurrency } = check({
    provider: unbatched,
    batching: { maxBatchSize: 3, idleFlushMs: 5, maxWaitMs: 5 },
  });
  expect(batching).toEqual({ maxBatchSize: 1, idleFlushMs: 0, maxWaitMs: undefined });
  expect(maxConcurrency).toBe(64);
  expect(check({ provider: unbatched, maxConcurrency: 2 }).maxConcurrency).toBe(2);
});

test('pinned bytes are as many as the bytes of the store unless given', () => {
  expect(check({ provider: batched, kv: { maxBytes: 5 } }).kv.maxPinnedBytes).toBe(5);
  expect(check({ provider: batched, kv: { maxPinnedBytes: 0 } }).kv.maxPinnedBytes).toBe(0);
});

test('rows of the table have unique names, flags and helps, in one form', () => {
  const distinct = (key) => {
    const values = GATEWAY_OPTIONS.map((row) => row[key]).filter((value) => value !== undefined);
    expect(new Set(values).size).toBe(values.length);
    return values;
  };
  for (const path of distinct('path')) expect(path).toMatch(/^[a-z]\w*(\.[a-z]\w*)?$/);
  for (const flag of distinct('flag')) expect(flag).toMatch(/^[a-z]+(-[a-z]+)*$/);
  for (const help of distinct('help')) expect(help).toMatch(/[^.]$/);
  for (const {
    path,
    type,
    default: value,
    min = type === 'integer' ? 1 : 0,
    max,
  } of GATEWAY_OPTIONS) {
    if (typeof value !== 'number') continue;
    expect([path, value >= min]).toEqual([path, true]);
    expect([path, max === undefined || value === Infinity || value <= max]).toEqual([path, true]);
  }
});
