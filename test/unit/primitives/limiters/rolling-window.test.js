/** RollingWindow as its user meets it. */
import { RollingWindow } from '../../../../lib/index.js';

test('counts and sums within (now - window, now], for events in any order', () => {
  const window = new RollingWindow({ windowMs: 1000 });
  expect(window.count()).toBe(0);
  expect(window.add(5000)).toBe(true);
  expect(window.add(4001, 10)).toBe(true);
  expect(window.add(4000, 100)).toBe(false);
  expect(window.add(4500, 0.5)).toBe(true);
  expect(window.count()).toBe(3);
  expect(window.sum()).toBe(11.5);
  expect(window.count(5001)).toBe(2);
  expect(window.count(5500)).toBe(1);
  expect(window.count(6000)).toBe(0);
  expect(window.count(4999)).toBe(2);
});

test('agrees with a plain list', () => {
  const window = new RollingWindow({ windowMs: 50 });
  const list = [];
  let seed = 1;
  for (let i = 0; i < 2000; i += 1) {
    seed = (seed * 48271) % 2147483647;
    const time = i + (seed % 40) - 20;
    const newest = Math.max(...list, -Infinity);
    expect(window.add(time)).toBe(time > newest - 50);
    if (time > newest - 50) list.push(time);
    const now = Math.max(...list);
    expect(window.count()).toBe(list.filter((t) => t > now - 50 && t <= now).length);
  }
});

test.each([
  [{}, TypeError, 'windowMs'],
  [{ windowMs: 0 }, RangeError, 'windowMs'],
  [{ windowMs: 1, maxEntries: 1 }, RangeError, 'maxEntries'],
])('%p is refused', (options, kind, message) => {
  expect(() => new RollingWindow(options)).toThrow(kind);
  expect(() => new RollingWindow(options)).toThrow(message);
});
