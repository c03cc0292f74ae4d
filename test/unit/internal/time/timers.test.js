import { ManualClock } from '../../../../lib/index.js';
import { deadlinesOf } from '../../../../lib/internal/time/timers.js';

function make() {
  const clock = new ManualClock();
  const fired = [];
  const start = (ms, name) => deadlinesOf(clock).start(ms, () => fired.push([name, clock.nowMs()]));
  return { clock, fired, start };
}

test('deadlines fire when they are due, in order, at their own time', () => {
  const { clock, fired, start } = make();
  start(20, 'b');
  start(10, 'a');
  start(30.000001, 'c');
  clock.advanceMs(9.999999);
  expect(fired).toEqual([]);
  clock.advanceMs(20.000001);
  expect(fired).toEqual([
    ['a', 10],
    ['b', 20],
  ]);
  clock.advanceMs(0.000001);
  expect(fired.at(-1)).toEqual(['c', 30.000001]);
});

test('sums of fractions do not drift', () => {
  const { clock, fired, start } = make();
  clock.advanceMs(0.1);
  start(0.2, 'a');
  clock.advanceMs(0.2);
  expect(fired).toEqual([['a', 0.3]]);
});

test('a cancelled timer, or one at infinity, does not fire; none fires twice', () => {
  const { clock, fired, start } = make();
  const callOff = start(10, 'a');
  start(10, 'b');
  start(Infinity, 'c');
  callOff();
  callOff();
  clock.advanceMs(1e6);
  clock.advanceMs(1e6);
  expect(fired).toEqual([['b', 10]]);
});

test('a timer may start and cancel others', () => {
  const { clock, fired, start } = make();
  const callOff = start(10, 'b');
  deadlinesOf(clock).start(10, () => {});
  deadlinesOf(clock).start(5, () => {
    callOff();
    start(0, 'at once');
    start(7, 'later');
  });
  clock.advanceMs(20);
  expect(fired).toEqual([
    ['at once', 5],
    ['later', 12],
  ]);
});

test('real time', async () => {
  const deadlines = deadlinesOf();
  let fired = false;
  const callOff = deadlines.start(1, () => (fired = true));
  callOff();
  deadlines.start(Infinity, () => (fired = true))();
  await new Promise((resolve) => deadlines.start(10, () => resolve(undefined)));
  expect(fired).toBe(false);
});
