import { getEventListeners } from 'node:events';
import { whenAborted } from '../../../../lib/internal/util/abort.js';

const listeners = (signal) => getEventListeners(signal, 'abort').length;

describe('whenAborted', () => {
  test('any number of waits take one listener, which goes with the last of them', () => {
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

  test('an abort calls each once, the last first, but for those released meanwhile', () => {
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
