import { getEventListeners } from 'node:events';
import { AbortState, whenAborted } from '../../../../lib/internal/util/abort.js';

const listeners = (signal) => getEventListeners(signal, 'abort').length;

describe('whenAborted', () => {
  test('any number of waits share one listener, removed with the last of them', () => {
    const { signal } = new AbortController();
    const releases = Array.from({ length: 30 }, () => whenAborted(signal, () => {}));
    expect(listeners(signal)).toBe(1);
    for (const release of releases.slice(1)) release();
    expect(listeners(signal)).toBe(1);
    releases[0]();
    releases[0]();
    expect(listeners(signal)).toBe(0);
    whenAborted(signal, () => {});
    expect(listeners(signal)).toBe(1);
  });

  test('an abort calls each once, the last first, except the released ones', () => {
    const controller = new AbortController();
    const called = [];
    const same = () => called.push('same');
    const again = whenAborted(controller.signal, same);
    const release = whenAborted(controller.signal, () => called.push('released'));
    whenAborted(controller.signal, () => {
      called.push('releasing');
      release();
    });
    whenAborted(controller.signal, same);
    whenAborted(controller.signal, () => called.push('last'));
    controller.abort();
    expect(called).toEqual(['last', 'same', 'releasing', 'same']);
    again();
    expect(listeners(controller.signal)).toBe(0);
  });

  test('no signal is no wait', () => {
    expect(whenAborted(undefined, () => {})()).toBeUndefined();
  });
});

describe('AbortState', () => {
  test('calls each wait once, the last first, except the released ones', () => {
    const state = new AbortState();
    const called = [];
    const release = whenAborted(state, () => called.push('released'));
    whenAborted(state, () => called.push('first'));
    whenAborted(state, () => {
      called.push('releasing');
      release();
    });
    const gone = whenAborted(state, () => called.push('gone'));
    gone();
    gone();
    state.abort();
    state.abort();
    expect(called).toEqual(['releasing', 'first']);
    expect(state.aborted).toBe(true);
  });

  test('keeps the first reason; the default is that of an AbortController', () => {
    const given = new AbortState();
    expect(given.reason).toBeUndefined();
    expect(() => given.throwIfAborted()).not.toThrow();
    const reason = new Error('left');
    given.abort(reason);
    given.abort(new Error('again'));
    expect(given.reason).toBe(reason);
    expect(() => given.throwIfAborted()).toThrow(reason);
    const bare = new AbortState();
    bare.abort();
    expect(bare.reason).toMatchObject({
      name: 'AbortError',
      message: AbortSignal.abort().reason.message,
    });
    expect(bare.reason).toBe(bare.reason);
  });

  test.each(['before', 'after'])(
    'its signal, read %s the abort, is aborted with the reason',
    (when) => {
      const state = new AbortState();
      const reason = new Error('left');
      const calls = [];
      if (when === 'before') {
        expect(state.signal.aborted).toBe(false);
        state.signal.addEventListener('abort', () => calls.push(state.aborted));
      }
      state.abort(reason);
      expect(state.signal.aborted).toBe(true);
      expect(state.signal.reason).toBe(reason);
      expect(state.signal).toBe(state.signal);
      expect(calls).toEqual(when === 'before' ? [true] : []);
    },
  );
});
