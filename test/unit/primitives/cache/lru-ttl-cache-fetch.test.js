/**
 * Single flight: one load for any number of callers, despite aborts at any time. jest fails a test
 * for an unhandled rejection, so none remains in any order of events.
 */
import { getEventListeners } from 'node:events';
import { LruTtlCache, ManualClock } from '../../../../lib/index.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

function make(options = {}) {
  const clock = new ManualClock();
  const cache = new LruTtlCache({ maxEntries: 10, clock, ...options });
  const loads = [];
  /** A loader that is answered by hand: loads[n].resolve(value). */
  const loader = (key, { signal }) =>
    new Promise((resolve, reject) => loads.push({ key, signal, resolve, reject }));
  return { cache, clock, loads, loader };
}

/** The current state of each promise. */
async function outcomes(promises) {
  const settled = promises.map((promise) =>
    promise.then(
      (value) => value,
      (error) => ['rejected', error],
    ),
  );
  await turn();
  return Promise.all(settled.map((each) => Promise.race([each, Promise.resolve('pending')])));
}

describe('one load', () => {
  test('for all concurrent callers, and not for later ones', async () => {
    const { cache, loads, loader } = make();
    const callers = Array.from({ length: 100 }, () => cache.fetch('k', loader));
    expect(loads.length).toBe(1);
    expect(loads[0].key).toBe('k');
    loads[0].resolve('v');
    expect(await outcomes(callers)).toEqual(Array(100).fill('v'));
    expect(await cache.fetch('k', loader)).toBe('v');
    expect(loads.length).toBe(1);
    expect(cache.get('k')).toBe('v');
    expect(cache.metrics).toMatchObject({ hits: 2, misses: 1, joins: 99 });
    expect(loads[0].signal.aborted).toBe(false);
  });

  test('is started before fetch returns, and a key at a time', () => {
    const { cache, loads, loader } = make();
    void cache.fetch('a', loader);
    void cache.fetch('b', loader);
    expect(loads.map(({ key }) => key)).toEqual(['a', 'b']);
  });

  test('may be synchronous, and return undefined', async () => {
    const { cache } = make();
    expect(await cache.fetch('a', () => 1)).toBe(1);
    expect(await cache.fetch('b', () => undefined)).toBeUndefined();
    expect(cache.has('b')).toBe(true);
    expect(await cache.fetch('b', () => 'another')).toBeUndefined();
  });

  test('is stored with the options of the caller who started it', async () => {
    const { cache, clock, loads, loader } = make({ maxBytes: 100, ttlMs: 5 });
    const size = (value, key) => value.length + key.length;
    const first = cache.fetch('key', loader, { ttlMs: 50, size });
    const second = cache.fetch('key', loader, { ttlMs: 1, size: 1 });
    clock.advanceMs(20);
    loads[0].resolve(['a', 'b']);
    expect(await outcomes([first, second])).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
    expect(cache.bytes).toBe(5);
    clock.advanceMs(50);
    expect(cache.has('key')).toBe(true);
    clock.advanceMs(1);
    expect(cache.has('key')).toBe(false);
  });

  test('replaces an expired value', async () => {
    const { cache, clock } = make({ ttlMs: 10 });
    cache.set('k', 'old');
    clock.advanceMs(11);
    expect(await cache.fetch('k', () => 'new')).toBe('new');
    expect(cache.metrics).toMatchObject({ hits: 0, misses: 1, expirations: 1 });
  });

  test('of a value without a size is a failure that names it', async () => {
    const { cache } = make({ maxBytes: 10 });
    const value = () => {};
    await expect(cache.fetch('k', () => value)).rejects.toThrow(/^size takes/);
    expect(cache.has('k')).toBe(false);
    expect(await cache.fetch('k', () => value, { size: 1 })).toBe(value);
  });

  test('of a value that is too large is shared, and not stored', async () => {
    const { cache, loads, loader } = make({ maxBytes: 3 });
    const callers = [cache.fetch('k', loader), cache.fetch('k', loader)];
    loads[0].resolve('abcd');
    expect(await outcomes(callers)).toEqual(['abcd', 'abcd']);
    expect(cache.has('k')).toBe(false);
  });
});

describe('a failure', () => {
  test('is shared by all who joined, and not stored', async () => {
    const { cache, loads, loader } = make();
    const callers = [1, 2, 3].map(() => cache.fetch('k', loader));
    const error = new Error('no');
    loads[0].reject(error);
    expect(await outcomes(callers)).toEqual(Array(3).fill(['rejected', error]));
    expect(cache.has('k')).toBe(false);
    const again = cache.fetch('k', loader);
    loads[1].resolve('yes');
    expect(await again).toBe('yes');
  });

  test('may be thrown at once', async () => {
    const { cache } = make();
    const error = new Error('at once');
    const fail = () => {
      throw error;
    };
    await expect(cache.fetch('k', fail)).rejects.toBe(error);
    expect(await cache.fetch('k', () => 1)).toBe(1);
  });
});

describe('a caller who aborts', () => {
  test.each([0, 1, 2])('leaves alone: number %i of three', async (leaver) => {
    const { cache, loads, loader } = make();
    const controllers = [0, 1, 2].map(() => new AbortController());
    const callers = controllers.map(({ signal }) => cache.fetch('k', loader, { signal }));
    controllers[leaver].abort('enough');
    const expected = ['pending', 'pending', 'pending'];
    expected[leaver] = ['rejected', 'enough'];
    expect(await outcomes(callers)).toEqual(expected);
    expect(loads[0].signal.aborted).toBe(false);
    loads[0].resolve('v');
    expected.fill('v');
    expected[leaver] = ['rejected', 'enough'];
    expect(await outcomes(callers)).toEqual(expected);
    expect(cache.get('k')).toBe('v');
  });

  test('as the last one ends the load, and the next one starts afresh', async () => {
    const { cache, loads, loader } = make();
    const controllers = [0, 1].map(() => new AbortController());
    const callers = controllers.map(({ signal }) => cache.fetch('k', loader, { signal }));
    controllers[0].abort('one');
    expect(loads[0].signal.aborted).toBe(false);
    controllers[1].abort('two');
    expect(loads[0].signal.aborted).toBe(true);
    expect(loads[0].signal.reason).toBe('two');
    const next = cache.fetch('k', loader);
    expect(loads.length).toBe(2);
    // The aborted load may still resolve, without effect.
    loads[0].resolve('late');
    expect(await outcomes([...callers, next])).toEqual([
      ['rejected', 'one'],
      ['rejected', 'two'],
      'pending',
    ]);
    expect(cache.has('k')).toBe(false);
    loads[1].resolve('fresh');
    expect(await next).toBe('fresh');
    expect(cache.get('k')).toBe('fresh');
    expect(cache.metrics).toMatchObject({ hits: 1, misses: 2, joins: 1 });
  });

  test('does not receive the error of a load that it aborted', async () => {
    const { cache } = make();
    const controller = new AbortController();
    const caller = cache.fetch(
      'k',
      (key, { signal }) =>
        new Promise((resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('stopped')));
        }),
      { signal: controller.signal },
    );
    controller.abort();
    await expect(caller).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('may share its signal with the others', async () => {
    const { cache, loads, loader } = make();
    const controller = new AbortController();
    const { signal } = controller;
    const callers = Array.from({ length: 20 }, () => cache.fetch('k', loader, { signal }));
    expect(getEventListeners(signal, 'abort').length).toBe(1);
    controller.abort('all');
    expect(await outcomes(callers)).toEqual(Array(20).fill(['rejected', 'all']));
    expect(loads[0].signal.aborted).toBe(true);
  });

  test('may do so from within the loader', async () => {
    const { cache } = make();
    const controller = new AbortController();
    const caller = cache.fetch('k', () => (controller.abort('inside'), 'v'), controller);
    await expect(caller).rejects.toBe('inside');
    expect(cache.has('k')).toBe(false);
  });

  test('before the call has looked nothing up', async () => {
    const { cache, loads, loader } = make();
    cache.set('k', 'v');
    const signal = AbortSignal.abort('early');
    await expect(cache.fetch('k', loader, { signal })).rejects.toBe('early');
    await expect(cache.fetch('x', loader, { signal })).rejects.toBe('early');
    expect(loads.length).toBe(0);
    expect(cache.metrics).toMatchObject({ hits: 0, misses: 0, joins: 0 });
  });

  test('after the end changes nothing, and its listener is removed', async () => {
    const { cache, loads, loader } = make();
    const controller = new AbortController();
    const caller = cache.fetch('k', loader, controller);
    loads[0].resolve('v');
    expect(await caller).toBe('v');
    expect(getEventListeners(controller.signal, 'abort').length).toBe(0);
    controller.abort();
    expect(loads[0].signal.aborted).toBe(false);
    expect(cache.get('k')).toBe('v');
  });
});

describe('in the middle of a load', () => {
  test.each([
    ['delete', (cache) => cache.delete('k'), undefined],
    ['clear', (cache) => cache.clear(), undefined],
    ['set', (cache) => cache.set('k', 'set'), 'set'],
  ])('%s is not undone by its result', async (_name, invalidate, value) => {
    const { cache, loads, loader } = make();
    const callers = [cache.fetch('k', loader), cache.fetch('k', loader)];
    invalidate(cache);
    expect(loads[0].signal.aborted).toBe(false);
    loads[0].resolve('stale');
    expect(await outcomes(callers)).toEqual(['stale', 'stale']);
    expect(cache.get('k')).toBe(value);
  });

  test('after a delete, the next caller starts afresh, and the two do not mix', async () => {
    const { cache, loads, loader } = make();
    const controller = new AbortController();
    const before = cache.fetch('k', loader);
    const leaver = cache.fetch('k', loader, controller);
    cache.delete('k');
    const after = cache.fetch('k', loader);
    expect(loads.length).toBe(2);
    controller.abort('left');
    loads[1].resolve('new');
    expect(await after).toBe('new');
    loads[0].resolve('old');
    expect(await outcomes([before, leaver, after])).toEqual(['old', ['rejected', 'left'], 'new']);
    expect(cache.get('k')).toBe('new');
    expect([loads[0].signal.aborted, loads[1].signal.aborted]).toEqual([false, false]);
  });

  test('a failure, an abort or a time-out of the first of two does not affect the second', async () => {
    const { cache, clock, loads, loader } = make({ loadTimeoutMs: 100 });
    for (const end of [
      () => loads[0].reject('failed'),
      (controller) => controller.abort('left'),
      () => clock.advanceMs(60),
    ]) {
      loads.length = 0;
      const controller = new AbortController();
      const first = cache.fetch('k', loader, controller);
      clock.advanceMs(50);
      cache.delete('k');
      const second = cache.fetch('k', loader);
      end(controller);
      const [[outcome], pending] = await outcomes([first, second]);
      expect([outcome, pending]).toEqual(['rejected', 'pending']);
      loads[1].resolve('v');
      expect(await second).toBe('v');
      expect(cache.get('k')).toBe('v');
      cache.delete('k');
    }
  });

  test('a full cache evicts entries, and aborts no load', async () => {
    const { cache, loads, loader } = make({ maxEntries: 1 });
    const [a, b] = [cache.fetch('a', loader), cache.fetch('b', loader)];
    cache.set('c', 1);
    loads[0].resolve('a');
    expect(await a).toBe('a');
    loads[1].resolve('b');
    expect(await b).toBe('b');
    expect([...cache.keys()]).toEqual(['b']);
    expect(loads.some(({ signal }) => signal.aborted)).toBe(false);
  });
});

describe('a loader that hangs', () => {
  test('fails for all, is aborted, and the key is free again', async () => {
    const { cache, clock, loads, loader } = make({ loadTimeoutMs: 100 });
    const first = cache.fetch('k', loader);
    clock.advanceMs(60);
    const second = cache.fetch('k', loader);
    clock.advanceMs(39.999999);
    expect(await outcomes([first, second])).toEqual(['pending', 'pending']);
    clock.advanceMs(0.000001);
    const error = expect.objectContaining({ code: 'ERR_LOAD_TIMEOUT' });
    expect(await outcomes([first, second])).toEqual(Array(2).fill(['rejected', error]));
    expect(loads[0].signal.reason).toMatchObject({ code: 'ERR_LOAD_TIMEOUT' });
    const third = cache.fetch('k', loader);
    loads[0].reject(new Error('late'));
    loads[1].resolve('v');
    expect(await third).toBe('v');
    clock.advanceMs(1000);
    expect(loads[1].signal.aborted).toBe(false);
  });

  test('has the time to live of its call, Infinity included', async () => {
    const { cache, clock, loads, loader } = make({ loadTimeoutMs: 100 });
    const short = cache.fetch('short', loader, { timeoutMs: 1 });
    const never = cache.fetch('never', loader, { timeoutMs: Infinity });
    clock.advanceMs(1);
    expect(await outcomes([short])).toEqual([['rejected', expect.anything()]]);
    clock.advanceMs(1e6);
    expect(await outcomes([never])).toEqual(['pending']);
    loads[1].resolve('v');
    expect(await never).toBe('v');
  });

  test('in real time', async () => {
    const cache = new LruTtlCache({ maxEntries: 1, loadTimeoutMs: 10 });
    const hung = cache.fetch('k', () => new Promise(() => {}));
    await expect(hung).rejects.toMatchObject({ code: 'ERR_LOAD_TIMEOUT' });
    expect(await cache.fetch('k', () => 1)).toBe(1);
  });
});

/** A plain model of fetch for one key. */
class Model {
  value;
  current;
  flights = [];

  fetch(caller) {
    if (this.value !== undefined) {
      caller.expected = this.value;
      return;
    }
    if (this.current === undefined) {
      this.current = { number: this.flights.length, callers: new Set(), over: false };
      this.flights.push(this.current);
    }
    this.current.callers.add(caller);
    caller.flight = this.current;
  }

  end(flight, outcome, stored) {
    for (const caller of flight.callers) caller.expected = outcome;
    flight.callers.clear();
    flight.over = true;
    if (this.current !== flight) return;
    this.current = undefined;
    this.value = stored;
  }

  abort(caller) {
    if (caller.expected !== 'pending') return;
    caller.expected = ['rejected', caller.number];
    caller.flight.callers.delete(caller);
    if (caller.flight.callers.size > 0) return;
    caller.flight.aborted = true;
    this.end(caller.flight);
  }
}

test.each([1, 2, 3])('any order of events: history %i', async (seed) => {
  let random = seed;
  const below = (n) => (random = (random * 48271) % 2147483647) % n;
  const { cache, clock, loads, loader } = make({ loadTimeoutMs: 50 });
  const model = new Model();
  let callers = [];
  const timedOut = ['rejected', expect.objectContaining({ code: 'ERR_LOAD_TIMEOUT' })];
  const anyFlight = () => model.flights[Math.max(0, model.flights.length - 1 - below(3))];
  const actions = {
    fetch() {
      const controller = new AbortController();
      const caller = { number: below(1e9), controller, expected: 'pending' };
      model.fetch(caller);
      caller.promise = cache.fetch('k', loader, { signal: controller.signal });
      if (caller.flight !== undefined) caller.flight.startedMs ??= clock.nowMs();
      callers.push(caller);
    },
    abort() {
      const caller = callers[below(callers.length)];
      if (caller === undefined) return;
      model.abort(caller);
      caller.controller.abort(caller.number);
    },
    resolve() {
      const flight = anyFlight();
      if (flight === undefined) return;
      if (!flight.over) model.end(flight, `load ${flight.number}`, `load ${flight.number}`);
      loads[flight.number].resolve(`load ${flight.number}`);
    },
    reject() {
      const flight = anyFlight();
      if (flight === undefined) return;
      if (!flight.over) model.end(flight, ['rejected', flight.number]);
      loads[flight.number].reject(flight.number);
    },
    delete() {
      model.current = model.value = undefined;
      cache.delete('k');
    },
    set() {
      model.current = undefined;
      model.value = `set ${below(1e9)}`;
      cache.set('k', model.value);
    },
    advance() {
      clock.advanceMs(20);
      for (const flight of model.flights) {
        if (flight.over || clock.nowMs() < flight.startedMs + 50) continue;
        flight.aborted = true;
        model.end(flight, timedOut);
      }
    },
  };
  const weighted = 'fetch fetch fetch fetch abort abort abort resolve reject delete set advance';
  for (let step = 0; step < 1500; step += 1) {
    const names = weighted.split(' ');
    actions[names[below(names.length)]]();
    const seen = await outcomes(callers.map(({ promise }) => promise));
    expect(seen).toEqual(callers.map(({ expected }) => expected));
    expect(cache.peek('k')).toBe(model.value);
    expect(loads.map(({ signal }) => signal.aborted)).toEqual(
      model.flights.map(({ aborted = false }) => aborted),
    );
    callers = callers.filter(({ expected }) => expected === 'pending' || below(4) > 0);
  }
  const { hits, misses, joins } = cache.metrics;
  expect(misses).toBe(loads.length);
  expect(Math.min(hits, misses, joins)).toBeGreaterThan(50);
});

test.each([
  [[undefined], TypeError, 'loader'],
  [[() => 1, { signal: {} }], TypeError, 'signal'],
  [[() => 1, { ttlMs: -1 }], RangeError, 'ttlMs'],
  [[() => 1, { size: '1' }], TypeError, 'size'],
  [[() => 1, { timeoutMs: NaN }], RangeError, 'timeoutMs'],
])('the arguments %o are refused by name', async (args, kind, name) => {
  const { cache } = make();
  await expect(cache.fetch('k', ...args)).rejects.toThrow(kind);
  await expect(cache.fetch('k', ...args)).rejects.toThrow(name);
  expect(cache.has('k')).toBe(false);
});
