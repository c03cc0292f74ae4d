/** Shares of a capacity per key: order, aborts, and idle keys. */
import { KeyedSemaphore } from '../../../../lib/internal/util/keyed-semaphore.js';

/** Whether a promise has settled by the next turn of the event loop. */
async function settled(promise) {
  const open = Symbol('open');
  const turn = new Promise((resolve) => setImmediate(resolve, open));
  return (await Promise.race([promise, turn])) !== open;
}

test('keys have the capacity each, and waiters are served in order', async () => {
  const semaphore = new KeyedSemaphore(10);
  const first = await semaphore.acquire('a', 6);
  const large = semaphore.acquire('a', 8);
  const small = semaphore.acquire('a', 2);
  expect(await settled(semaphore.acquire('b', 10))).toBe(true);
  // It would fit, but waits for its turn after the large one.
  expect(await settled(small)).toBe(false);
  first();
  first();
  expect(await settled(large)).toBe(true);
  expect(await settled(small)).toBe(true);
  expect(await settled(semaphore.acquire('a', 1))).toBe(false);
});

test('an aborted waiter does not block the next ones, and idle keys are dropped', async () => {
  const semaphore = new KeyedSemaphore(10);
  const abort = new AbortController();
  const first = await semaphore.acquire('a', 6);
  const large = semaphore.acquire('a', 8, abort.signal);
  const small = semaphore.acquire('a', 4);
  abort.abort(new Error('enough'));
  await expect(large).rejects.toThrow('enough');
  (await small)();
  first();
  expect(semaphore.size).toBe(0);
  await expect(semaphore.acquire('a', 1, abort.signal)).rejects.toThrow('enough');
  await expect(semaphore.acquire('a', 11)).rejects.toThrow(RangeError);
  expect(semaphore.size).toBe(0);
});
