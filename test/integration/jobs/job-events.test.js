/** `gateway.on('job', listener)`: each change in the life of each job, in order. */
import { ManualClock, ProviderError, createGateway } from '../../../lib/index.js';
import { cleanUp, stopAll } from '../../support/gateway/gateway.js';
import { echo } from '../../support/providers/providers.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

/** A gateway, and the events of its jobs. */
function observed(options) {
  const gateway = createGateway({ provider: echo, logger: false, ...options });
  cleanUp(() => gateway.close({ drainMs: 0 }));
  const events = [];
  gateway.on('job', (event) => events.push(event));
  const types = (id) => events.filter((event) => event.id === id).map(({ type }) => type);
  return { gateway, events, types };
}

test('a job is queued, started, ended and purged', async () => {
  const clock = new ManualClock();
  const { gateway, events, types } = observed({ clock, retentionMs: 1000 });
  const { id } = await gateway.submit({ prompt: 'one two' }, { principal: 'ann' });
  await until(() => types(id).includes('ended'));
  clock.advanceMs(1000);
  await until(() => types(id).includes('purged'));
  expect(types(id)).toEqual(['queued', 'started', 'ended', 'purged']);
  expect(events[0]).toEqual({
    type: 'queued',
    id,
    principal: 'ann',
    model: expect.any(String),
    child: false,
    attempt: 0,
    status: 'queued',
  });
  expect(events[1]).toMatchObject({ type: 'started', attempt: 1, status: 'running' });
  expect(events[2]).toMatchObject({
    type: 'ended',
    attempt: 1,
    status: 'completed',
    reason: 'stop',
    usage: { prompt_tokens: expect.any(Number), completion_tokens: expect.any(Number) },
    metrics: { tokens: expect.any(Number) },
  });
});

test('further attempts are retries, and the ending has the error', async () => {
  const { gateway, events, types } = observed({
    retry: { attempts: 3, baseMs: 1, capMs: 1 },
    // oxlint-disable-next-line require-yield
    provider: async function* failing() {
      throw new ProviderError('upstream_error', 'busy', { retryable: true });
    },
  });
  const { id } = await gateway.submit({ prompt: 'p' });
  await until(() => types(id).includes('ended'));
  expect(types(id)).toEqual(['queued', 'started', 'retry', 'retry', 'ended']);
  expect(events.at(-1)).toMatchObject({
    attempt: 3,
    status: 'failed',
    error: { code: 'upstream_error', message: 'busy' },
  });
});

test('a job that replays a finished answer never starts', async () => {
  const { gateway, events, types } = observed();
  const request = { prompt: 'p', temperature: 0 };
  const first = await gateway.submit(request);
  await until(() => types(first.id).includes('ended'));
  const second = await gateway.submit(request);
  await until(() => types(second.id).includes('ended'));
  expect(types(first.id)).toEqual(['queued', 'started', 'ended']);
  expect(types(second.id)).toEqual(['queued', 'ended']);
  expect(events.at(-1)).toMatchObject({ cache: 'hit', attempt: 0, status: 'completed' });
});

test('jobs that join a running answer start with it, or on arrival', async () => {
  let finish;
  const finished = new Promise((resolve) => (finish = resolve));
  const { gateway, types } = observed({
    provider: async function* slow() {
      yield 'a';
      await finished;
    },
  });
  const request = { prompt: 'p', temperature: 0 };
  const first = await gateway.submit(request);
  await until(() => types(first.id).includes('started'));
  const second = await gateway.submit(request);
  finish();
  await until(() => types(second.id).includes('ended'));
  expect(types(first.id)).toEqual(['queued', 'started', 'ended']);
  expect(types(second.id)).toEqual(['queued', 'started', 'ended']);
});

test('jobs of a workflow are marked as children', async () => {
  const { gateway, events } = observed();
  await gateway.workflows.submit({ nodes: [{ id: 'a', prompt: 'p' }] });
  await until(() => events.some(({ type }) => type === 'ended'));
  expect(new Set(events.map(({ child }) => child))).toEqual(new Set([true]));
});

test('a listener that throws is logged, and the job ends all the same', async () => {
  const errors = [];
  const logger = { info() {}, warn() {}, error: (fields, message) => errors.push(message) };
  const { gateway, types } = observed({ logger });
  gateway.prependListener('job', () => {
    throw new Error('broken listener');
  });
  const { id } = await gateway.submit({ prompt: 'p' });
  await until(async () => (await gateway.get(id)).status === 'completed');
  expect(types(id)).toEqual([]);
  expect(errors.length).toBeGreaterThanOrEqual(3);
  expect(new Set(errors)).toEqual(new Set(['a listener of job events threw']));
});
