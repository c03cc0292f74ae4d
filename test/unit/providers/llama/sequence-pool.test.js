import { SequencePool } from '../../../../lib/providers/llama/sequence-pool.js';

const never = new AbortController().signal;

function poolOf(size) {
  let made = 0;
  let disposed = 0;
  const pool = new SequencePool(
    () => ({ id: ++made, dispose: async () => void (disposed += 1) }),
    size,
  );
  return { pool, made: () => made, disposed: () => disposed };
}

test('lends only its sequences; waiting callers are served in order', async () => {
  const { pool, made } = poolOf(2);
  const first = await pool.acquire(never);
  await pool.acquire(never);
  const order = [];
  const waits = ['a', 'b'].map((name) => pool.acquire(never).then(() => order.push(name)));
  await Promise.resolve();
  expect(made()).toBe(2);
  await pool.release(first);
  await waits[0];
  expect(order).toEqual(['a']);
  expect(made()).toBe(3);
});

test('an abort removes a waiter from the queue, and the next one has its turn', async () => {
  const { pool } = poolOf(1);
  const held = await pool.acquire(never);
  const controller = new AbortController();
  const aborted = pool.acquire(controller.signal);
  const next = pool.acquire(never);
  controller.abort(new Error('gone'));
  await expect(aborted).rejects.toThrow('gone');
  await pool.release(held);
  expect((await next).id).toBe(2);
  await expect(pool.acquire(AbortSignal.abort())).rejects.toThrow();
});

test('close refuses the waiting, and is over when everything is back', async () => {
  const { pool, disposed } = poolOf(1);
  const held = await pool.acquire(never);
  const waiting = pool.acquire(never);
  let closed = false;
  const closing = pool.close().then(() => (closed = true));
  await expect(waiting).rejects.toMatchObject({ code: 'ERR_PROVIDER_CLOSED' });
  await expect(pool.acquire(never)).rejects.toMatchObject({ code: 'ERR_PROVIDER_CLOSED' });
  expect(closed).toBe(false);
  await pool.release(held);
  await closing;
  expect(disposed()).toBe(1);
});
