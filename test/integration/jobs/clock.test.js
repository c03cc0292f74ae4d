/** A gateway under a clock that is moved by hand: deadlines to the millisecond, without waiting. */
import { ManualClock, createGateway } from '../../../lib/index.js';
import { handProvider } from '../../support/providers/providers.js';

const DAY_MS = 24 * 3600 * 1000;

let gateway;
let clock;
let hand;
beforeEach(() => {
  clock = new ManualClock();
  hand = handProvider();
  gateway = createGateway({ provider: hand.provider, clock, logger: false });
});
afterEach(() => gateway.close({ drainMs: 0 }));

test('a job lives for max_wall_ms and not longer', async () => {
  const { id } = await gateway.submit({ prompt: 'a', max_wall_ms: 1000 });
  const { signal } = await hand.call(0);
  clock.advanceMs(999);
  expect((await gateway.get(id)).status).toBe('running');
  expect(signal.aborted).toBe(false);
  clock.advanceMs(1);
  expect(await gateway.get(id)).toMatchObject({
    status: 'failed',
    error: { code: 'wall_time_exceeded' },
    metrics: { duration_ms: 1000 },
  });
  expect(signal.aborted).toBe(true);
});

test('a finished job is kept for retentionMs, its id is then unknown', async () => {
  const { id } = await gateway.submit({ prompt: 'a' });
  (await hand.call(0)).end();
  for await (const { type } of gateway.stream(id)) expect(type).toBe('job_complete');
  clock.advanceMs(299_999);
  expect(await gateway.get(id)).toMatchObject({ status: 'completed' });
  expect((await gateway.list()).data).toHaveLength(1);
  clock.advanceMs(1);
  expect(await gateway.get(id)).toBeUndefined();
  expect((await gateway.list()).data).toEqual([]);
});

test('an idempotency key holds for a day', async () => {
  const submit = () => gateway.submit({ prompt: 'a' }, { idempotencyKey: 'k' });
  const first = await submit();
  clock.advanceMs(DAY_MS - 1);
  expect(await submit()).toMatchObject({ id: first.id, replayed: true });
  clock.advanceMs(1);
  const second = await submit();
  expect(second.replayed).toBe(false);
  expect(second.id).not.toBe(first.id);
});
