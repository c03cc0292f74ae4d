import { Pipeline, TokenBucketLimiter } from '../../../../lib/index.js';
import { ManualClock, nsFromMs } from '../../../../lib/internal/time/clock.js';
import { deadlinesOf } from '../../../../lib/internal/time/timers.js';
import { SCHEDULE } from '../../../../lib/internal/util/symbols.js';
import { settled } from '../../../support/pipeline.js';

/** A source that fires at fixed times and records the time of the clock. */
function sourceAt(clock, name, times, fired) {
  const due = [...times];
  const source = {
    nextDeadlineNs: () => (due.length > 0 ? nsFromMs(due[0]) : undefined),
    advanceTo(ns) {
      while (due.length > 0 && nsFromMs(due[0]) <= ns) {
        fired.push([name, due.shift(), clock.nowMs()]);
      }
    },
  };
  clock[SCHEDULE](source);
  return source;
}

describe('ManualClock', () => {
  test('starts at 0 and moves by the given time, fractions too', () => {
    const clock = new ManualClock();
    expect(clock.nowMs()).toBe(0);
    clock.advanceMs(1.5);
    expect(clock.nowMs()).toBe(1.5);
    for (let i = 0; i < 1000; i++) clock.advanceMs(0.1);
    expect(clock.nowMs()).toBe(101.5);
  });

  test('fires due timers on the way, in order over all sources, each at its time', () => {
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
    clock[SCHEDULE]({
      nextDeadlineNs: () => undefined,
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

  test('counts nanoseconds beyond 104 days', () => {
    const clock = new ManualClock();
    for (let i = 0; i < 40; i++) clock.advanceMs(365 * 24 * 3600 * 1000);
    const yearsNs = 40n * 365n * 24n * 3600n * 1_000_000_000n;
    expect(clock.nowNs()).toBe(yearsNs);
    for (let i = 0; i < 1000; i++) clock.advanceMs(0.000001);
    expect(clock.nowNs()).toBe(yearsNs + 1000n);
    for (let i = 0; i < 1000; i++) clock.advanceMs(0.1);
    expect(clock.nowNs()).toBe(yearsNs + 100_001_000n);
    expect(clock.nowMs()).toBe(Number(yearsNs / 1_000_000n) + 100.001);
    expect(() => clock.advanceMs(110 * 365 * 24 * 3600 * 1000)).toThrow(RangeError);
    expect(() => {
      for (let i = 0; i < 3; i++) clock.advanceMs(99 * 365 * 24 * 3600 * 1000);
    }).toThrow(/146 years/);
  });

  test.each([0, 100, 400, 20_000])(
    'what waits fires in its nanosecond after %d days',
    async (days) => {
      const clock = new ManualClock();
      clock.advanceMs(days * 24 * 3600 * 1000 + 0.123457);
      const fired = [];
      deadlinesOf(clock).start(10.000001, () => fired.push('timer'));
      deadlinesOf(clock).start(Infinity, () => fired.push('never'));
      const pipeline = new Pipeline({
        clock,
        idleFlushMs: 10.000001,
        process: (batch) => {
          fired.push('pipeline');
          return batch.map(() => 'done');
        },
      });
      const bucket = new TokenBucketLimiter({
        capacity: 1,
        refillPerSecond: 1000 / 10.000001,
        clock,
      });
      await bucket.acquire('k');
      const acquired = bucket.acquire('k').then(() => fired.push('limiter'));
      await pipeline.submit({});
      clock.advanceMs(10);
      await settled();
      expect(fired).toEqual([]);
      clock.advanceMs(0.000001);
      await acquired;
      expect(fired.sort()).toEqual(['limiter', 'pipeline', 'timer']);
      await pipeline.close();
    },
  );
});
