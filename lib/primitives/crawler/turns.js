/** Turns of the event loop for long work on the main thread. */
import { setImmediate as nextLoop } from 'node:timers/promises';

let last = Promise.resolve();

/**
 * Resolves in a later turn of the event loop. All callers of the process form one queue, and each
 * turn resumes one of them: a thousand long tasks delay other events no longer than one task.
 */
export function nextTurn() {
  last = last.then(() => nextLoop());
  return last;
}
