/** When the entries of a turn leave for the reactor. */
import { setImmediate as endOfTurn } from 'node:timers/promises';
import { EntryQueue } from '../../../lib/streams/entry-queue.js';

function start({ manual = false } = {}) {
  /** @type {string[][]} */
  const sent = [];
  /** @type {(number | number[])[]} */
  const jobs = [];
  let wakes = 0;
  const take = (of, texts) => {
    jobs.push(of);
    sent.push(texts);
  };
  const native = { append: take, appendTo: take };
  const reactor = { manual, settle: () => {}, wake: () => (wakes += 1) };
  const queue = new EntryQueue(native, /** @type {any} */ (reactor));
  const add = (count) => {
    for (let i = 0; i < count; i += 1) queue.addText(1, 'x');
  };
  return { queue, add, jobs, sizes: () => sent.map(({ length }) => length), wakes: () => wakes };
}

test('entries of a turn are sent at its end, or 32 at once', async () => {
  const { add, sizes, wakes } = start();
  add(31);
  expect(sizes()).toEqual([]);
  add(40);
  expect([sizes(), wakes()]).toEqual([[32, 32], 2]);
  await endOfTurn();
  expect([sizes(), wakes()]).toEqual([[32, 32, 7], 3]);
  add(2);
  await endOfTurn();
  expect(sizes()).toEqual([32, 32, 7, 2]);
});

test('entries of one job name it once, entries of several jobs each', () => {
  const { queue, jobs } = start();
  for (const job of [1, 1]) queue.addText(job, 'x');
  queue.send();
  for (const job of [1, 2, 1]) queue.addText(job, 'x');
  queue.send();
  queue.addText(3, 'x');
  queue.send();
  expect(jobs).toEqual([1, [1, 2, 1], 3]);
});

test('a command sends the entries before it, and the turn the rest', async () => {
  const { queue, add, sizes } = start();
  add(3);
  queue.send();
  add(2);
  await endOfTurn();
  expect(sizes()).toEqual([3, 2]);
});

test('under a manual clock each is sent at once; after the end none', () => {
  const { queue, add, sizes } = start({ manual: true });
  add(2);
  queue.close();
  add(2);
  expect(sizes()).toEqual([1, 1]);
});
