/** Lines of turns that wait for their conversation in a deployment. */
import { SharedTurnQueues } from '../../../../lib/services/conversations/shared-turn-queues.js';

/** Lines, and functions that wake the first place of each, by name. */
function open({ maxQueued = 10, queueWaitMs = 60_000 } = {}) {
  const queues = new SharedTurnQueues({ maxQueued, queueWaitMs });
  const wakes = new Map();
  const join = (name, options = {}) =>
    queues.join(name, {
      late: () => new Error('too late'),
      watch: (wake) => {
        wakes.set(name, wake);
        return () => wakes.delete(name);
      },
      ...options,
    });
  return { queues, wakes, join };
}

/** Notes when a place is the first of its queue. */
function note(order, name, place) {
  return place.first().then(() => order.push(name));
}

describe('a queue', () => {
  test('keeps the order of arrival, also around an aborted turn', async () => {
    const { queues, wakes, join } = open();
    const leaving = new AbortController();
    const [a, b, c] = [join('x'), join('x', { signal: leaving.signal }), join('x')];
    const other = join('y');
    const order = [];
    await Promise.all([note(order, 'a', a), note(order, 'other', other)]);
    const second = note(order, 'b', b);
    const third = note(order, 'c', c);
    leaving.abort(new Error('enough'));
    await expect(second).rejects.toThrow('enough');
    queues.leave(b);
    expect(order).toEqual(['a', 'other']);
    queues.leave(a);
    await third;
    expect(order).toEqual(['a', 'other', 'c']);
    expect([...wakes.keys()]).toEqual(['x', 'y']);
    queues.leave(c);
    queues.leave(other);
    // Nobody waits: nothing is watched.
    expect(wakes.size).toBe(0);
  });

  test('wakes its first place, also one that does not wait yet', async () => {
    const { queues, wakes, join } = open();
    const place = join('x');
    await place.first();
    wakes.get('x')();
    await place.pause();
    const waiting = place.pause();
    wakes.get('x')();
    await waiting;
    await place.pause(0);
    queues.leave(place);
  });

  test('is full at its number of waiting turns, running ones not included', () => {
    const { queues, join } = open({ maxQueued: 2 });
    const [a, b] = [join('x'), join('x')];
    expect([queues.full('x'), queues.full('y')]).toEqual([true, false]);
    a.isTaking = true;
    expect(queues.full('x')).toBe(false);
    for (const place of [a, b]) queues.leave(place);
  });

  test('bounds each wait, and ends', async () => {
    const { queues, join } = open({ queueWaitMs: 1 });
    const [a, b] = [join('x'), join('x')];
    await expect(a.pause()).rejects.toThrow('too late');
    await expect(b.first()).rejects.toThrow('too late');
    for (const place of [a, b]) queues.leave(place);
    const { queues: closing, join: enter } = open();
    const [first, next] = [enter('x'), enter('x')];
    const both = [first.pause(), next.first()];
    closing.close(() => new Error('closed'));
    for (const each of both) await expect(each).rejects.toThrow('closed');
    // A wait that begins afterwards has ended as well.
    await expect(first.pause()).rejects.toThrow('closed');
    for (const place of [first, next]) closing.leave(place);
  });
});
