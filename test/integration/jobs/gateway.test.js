/** The gateway from JavaScript: its methods, and the options it refuses. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { createGateway, providers, SluiceError } from '../../../lib/index.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { untilStill } from '../../support/until.js';

const entry = new URL('../../../lib/index.js', import.meta.url).href;

afterEach(stopAll);

describe('the JS API', () => {
  test('submits, streams, reads, lists and cancels', async () => {
    const { gateway } = await start({ provider: echo });
    const job = await gateway.submit({ prompt: 'one two' });
    expect(job).toEqual({
      id: expect.stringMatching(/^job_/),
      status: 'queued',
      createdAt: expect.any(Number),
      streamUrl: `/v1/stream?job_id=${job.id}`,
      replayed: false,
    });
    const types = [];
    for await (const { type } of gateway.stream(job.id)) types.push(type);
    expect(types).toEqual(['token', 'token', 'job_complete']);
    expect(await gateway.get(job.id)).toMatchObject({ id: job.id, text: 'one two' });
    expect(await gateway.get(job.id, { principal: 'somebody else' })).toBeUndefined();
    expect(await gateway.list()).toMatchObject({ data: [{ id: job.id }], hasMore: false });
    expect(await gateway.cancel(job.id)).toMatchObject({ status: 'completed' });
    await expect(gateway.cancel('job_x')).rejects.toMatchObject({ code: 'ERR_JOB_NOT_FOUND' });
    expect(() => gateway.stream('job_x')).toThrow(expect.objectContaining({ status: 404 }));
  });

  test('refuses what HTTP refuses', async () => {
    const { gateway } = await start({ provider: echo });
    await expect(gateway.submit({})).rejects.toMatchObject({
      code: 'ERR_MISSING_FIELD',
      param: 'prompt',
    });
    const loop = {};
    loop.self = loop;
    await expect(gateway.submit({ prompt: 'a', metadata: loop })).rejects.toMatchObject({
      code: 'ERR_INVALID_VALUE',
    });
  });

  test('a caller may stop waiting for admission', async () => {
    const { provider, call } = handProvider();
    const { gateway } = await start({
      provider,
      maxConcurrency: 1,
      processingCapacity: 1,
      incomingCapacity: 1,
      admissionWaitMs: 60_000,
    });
    await gateway.submit({ prompt: 'a' });
    await call(0);
    const controller = new AbortController();
    const waiting = [];
    for (let i = 0; i < 6; i += 1) {
      waiting.push(gateway.submit({ prompt: 'b' }, { signal: controller.signal }));
    }
    setTimeout(() => controller.abort(new Error('enough')), 50);
    const settled = await Promise.allSettled(waiting);
    const refused = settled.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) expect(reason.message).toBe('enough');
  });
});

describe('unknown options are refused by name', () => {
  const bad = { idempotency_key: 'a' };
  const calls = [
    ['submit', (gateway) => gateway.submit({ prompt: 'a' }, bad)],
    ['get', (gateway) => gateway.get('job_a', bad)],
    ['list', (gateway) => gateway.list(bad)],
    ['cancel', (gateway) => gateway.cancel('job_a', bad)],
    ['stream', (gateway) => gateway.stream('job_a', bad)],
    ['listen', (gateway) => gateway.listen(bad)],
    ['close', (gateway) => gateway.close(bad)],
    ['reload', (gateway) => gateway.reload(bad)],
    ...['workflows', 'crawls'].flatMap((name) => [
      ['submit', (gateway) => gateway[name].submit({}, bad)],
      ['get', (gateway) => gateway[name].get('a', bad)],
      ['list', (gateway) => gateway[name].list(bad)],
      ['cancel', (gateway) => gateway[name].cancel('a', bad)],
      ['stream', (gateway) => gateway[name].stream('a', bad)],
    ]),
    ['retry', (gateway) => gateway.workflows.retry('a', bad)],
    ['create', (gateway) => gateway.conversations.create({}, bad)],
    ['fork', (gateway) => gateway.conversations.fork('a', {}, bad)],
    ['get', (gateway) => gateway.conversations.get('a', bad)],
    ['list', (gateway) => gateway.conversations.list(bad)],
    ['delete', (gateway) => gateway.conversations.delete('a', bad)],
    ['account', (gateway) => gateway.credits.account('a', bad)],
    ['events', (gateway) => gateway.credits.events('a', bad)],
    ['transfer', (gateway) => gateway.credits.transfer(bad)],
    ['reverse', (gateway) => gateway.credits.reverse(bad)],
    ['usage', (gateway) => gateway.credits.usage(bad)],
    ['providers.demo', () => providers.demo(bad)],
    ['providers.openai', () => providers.openai({ baseUrl: 'http://127.0.0.1:1', ...bad })],
    ['providers.llama', () => providers.llama({ modelPath: import.meta.filename, ...bad })],
  ];

  test.each(calls)('%s', async (name, call) => {
    const { gateway } = await start({ provider: echo });
    const error = await (async () => call(gateway))().catch((thrown) => thrown);
    expect(error).toBeInstanceOf(SluiceError);
    expect(error.code).toBe('ERR_INVALID_TYPE');
    expect(error.message).toMatch(`${name} has no option idempotency_key; it takes `);
  });
});

describe('maxConcurrency', () => {
  /** The number of 70 prompts that are in the provider at once. */
  async function callsOf(options) {
    const { provider, calls } = handProvider();
    const { gateway } = await start({ provider, ...options });
    for (let i = 0; i < 70; i += 1) await gateway.submit({ prompt: String(i) });
    return untilStill(() => calls.length, 'calls in the provider');
  }

  test('is 64 by default for a provider that takes one prompt per call', async () => {
    expect(await callsOf({})).toBe(64);
  });

  test('is accepted under its old name, too', async () => {
    expect(await callsOf({ maxInFlightBatches: 3 })).toBe(3);
    expect(await callsOf({ maxInFlightBatches: 2 })).toBe(2);
  });

  test('warns of its old name once in a process', async () => {
    const script = `
      const { createGateway, providers } = await import(${JSON.stringify(entry)});
      for (const maxInFlightBatches of [3, 2]) {
        await createGateway({ provider: providers.demo(), maxInFlightBatches }).close();
      }`;
    const args = ['--input-type=module', '-e', script];
    const { stderr } = await promisify(execFile)(process.execPath, args);
    expect(stderr.match(/maxInFlightBatches is now maxConcurrency/g)).toHaveLength(1);
  });
});

test.each([
  [{}, TypeError, /^provider takes/],
  [{ provider: echo, maxInFlightBatches: 0 }, RangeError, /^maxInFlightBatches takes/],
  [
    { provider: echo, maxInFlightBatches: 1, maxConcurrency: 1 },
    TypeError,
    /^createGateway takes maxConcurrency or its old name maxInFlightBatches, not both/,
  ],
  [{ provider: echo, kv: { maxKey: 1 } }, TypeError, /^kv has no option maxKey/],
  [{ provider: echo, conversations: { ttl: 1 } }, TypeError, /^conversations has no option ttl/],
  [{ provider: echo, data: '' }, RangeError, /^data takes the path of a file/],
  [
    { provider: echo, logs: { files: ['a', ''] } },
    TypeError,
    /^logs\.files takes an array of paths/,
  ],
  [
    { provider: echo, metrics: { processDefaults: 1 } },
    TypeError,
    /^metrics\.processDefaults takes/,
  ],
  [{ provider: echo, maxConcurrency: 0 }, RangeError, /^maxConcurrency takes/],
  [{ provider: echo, batching: { maxBatchSize: '8' } }, TypeError, /^batching\.maxBatchSize takes/],
  [{ provider: echo, batching: { size: 8 } }, TypeError, /^batching has no option size/],
  [{ provider: echo, maxInflight: 1 }, TypeError, /no option maxInflight/],
  [{ provider: echo, retry: { attempts: 0 } }, RangeError, /^retry\.attempts takes/],
  [{ provider: echo, onDisconnect: 'wait' }, RangeError, /^onDisconnect takes/],
  [{ provider: echo, logger: 'x' }, TypeError, /^logger takes/],
  [{ provider: echo, clock: Date }, TypeError, /^clock takes/],
  [{ provider: { generate: echo } }, TypeError, /^provider\.models takes/],
])('bad options %# are refused by name', (options, type, message) => {
  let error;
  try {
    createGateway(options);
  } catch (thrown) {
    error = thrown;
  }
  expect(error?.name).toBe(type.name);
  expect(error).toBeInstanceOf(SluiceError);
  expect(error.code).toBe(type === TypeError ? 'ERR_INVALID_TYPE' : 'ERR_INVALID_VALUE');
  expect(error.message).toMatch(message);
});
