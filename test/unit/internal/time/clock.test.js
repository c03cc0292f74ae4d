import { ManualClock } from '../../../../lib/internal/time/clock.js';
import { kSchedule } from '../../../../lib/internal/util/symbols.js';

/** A source that fires at fixed times and writes down what the clock said then. */
function sourceAt(clock, name, times, fired) {
  const due = [...times];
  const source = {
    nextDeadlineMs: () => due[0] ?? Infinity,
    advanceTo(ms) {
      while (due.length > 0 && due[0] <= ms) fired.push([name, due.shift(), clock.nowMs()]);
    },
  };
  clock[kSchedule](source);
  return source;
}

describe('ManualClock', () => {
  test('starts at 0 and moves by what it is told, fractions too', () => {
    const clock = new ManualClock();
    expect(clock.nowMs()).toBe(0);
    clock.advanceMs(1.5);
    expect(clock.nowMs()).toBe(1.5);
    for (let i = 0; i < 1000; i++) clock.advanceMs(0.1);
    expect(clock.nowMs()).toBe(101.5);
  });

  test('fires what falls due on the way, in order over all sources, each at its time', () => {
    const clock = new ManualClock();
    const fired = [];
    sourceAt(clock, 'a', [10, 30], fired);
    sourceAt(clock, 'b', [20, 40], fired);
    clock.advanceMs(35);
    expect(fired).toEqual([
      ['a', 10, 10],
      ['b', 20, 20],
      ['a', 30, 30],
    ]);
    expect(clock.nowMs()).toBe(35);
    clock.advanceMs(5);
    expect(fired.at(-1)).toEqual(['b', 40, 40]);
  });

  test('refuses to go back, and to be advanced from within', () => {
    const clock = new ManualClock();
    expect(() => clock.advanceMs(-1)).toThrow(RangeError);
    expect(() => clock.advanceMs('1')).toThrow(TypeError);
    let nested;
    clock[kSchedule]({
      nextDeadlineMs: () => Infinity,
      advanceTo() {
        try {
          clock.advanceMs(1);
        } catch (error) {
          nested = error;
        }
      },
    });
    clock.advanceMs(1);
    expect(nested).toMatchObject({ code: 'ERR_CLOCK_BUSY' });
    expect(clock.nowMs()).toBe(1);
  });
});
