/** The gateway from JavaScript: its methods, and the options it refuses. */
import { createGateway, SluiceError } from '../../../lib/index.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { echo, handProvider } from '../../support/providers/providers.js';

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
      maxInFlightBatches: 1,
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

test.each([
  [{}, TypeError, /^provider takes/],
  [{ provider: echo, maxInFlightBatches: 0 }, RangeError, /^maxInFlightBatches takes/],
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
