import { runInNewContext } from 'node:vm';
import { setFlagsFromString } from 'node:v8';
import { Retained } from '../../../lib/jobs/retained.js';

/** Reproducible numbers from 0 up to `below`. */
function randomNumbers(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % below;
  };
}

test('finds the oldest of each principal, whatever is removed and comes again', () => {
  const next = randomNumbers(7);
  const retained = new Retained();
  /** Records in the order of their endings. @type {{principal: string}[]} */
  let order = [];
  const known = Array.from({ length: 40 }, (_each, i) => ({ principal: `p${i % 3}`, i }));
  for (let step = 0; step < 600; step += 1) {
    const record = known[next(known.length)];
    if (next(2) === 0) {
      retained.add(record);
      if (!order.includes(record)) order.push(record);
    } else {
      retained.delete(record);
      order = order.filter((each) => each !== record);
    }
    for (const principal of ['p0', 'p1', 'p2']) {
      expect(retained.oldestOf(principal)).toBe(order.find((each) => each.principal === principal));
    }
    expect(retained.size).toBe(order.length);
  }
});

test('the oldest goes first, however many have gone before', () => {
  const retained = new Retained();
  const records = Array.from({ length: 1000 }, () => ({ principal: 'a' }));
  records.forEach((record, i) => {
    retained.add(record);
    if (retained.size <= 100) return;
    const oldest = retained.oldestOfMost();
    expect(oldest).toBe(records[i - 100]);
    retained.delete(oldest);
  });
});

test('takes no more memory where records leave by themselves', () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc');
  const retained = new Retained();
  const ring = Array.from({ length: 500 }, () => ({ principal: 'a' }));
  for (const record of ring) retained.add(record);
  expect(retained.oldestOf('a')).toBe(ring[0]);
  gc();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 200_000; i += 1) {
    retained.delete(ring[i % ring.length]);
    ring[i % ring.length] = { principal: 'a' };
    retained.add(ring[i % ring.length]);
  }
  gc();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(4_000_000);
  expect(retained.oldestOf('a')).toBe(ring[0]);
});
