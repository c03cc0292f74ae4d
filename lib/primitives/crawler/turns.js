/** Turns of the event loop for long work on the main thread. */
import { setImmediate as nextLoop } from 'node:timers/promises';

let last = Promise.resolve();

/**
 * Resolves in a later turn of the event loop. All callers of the process form one line, and each
 * turn lets one of them go on: a thousand long tasks hold up other events no longer than one does.
 */
export function nextTurn() {
  last = last.then(() => nextLoop());
  return last;
}
