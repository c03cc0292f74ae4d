/** Tasks, and readers of the events of a TaskGraph. */
import { collect } from './streams/collect.js';
import { settled } from './pipeline.js';

/** Events as short words: `started a`, `skipped b (a)`. */
export const words = (events) =>
  events.map(
    ({ type, id, reason }) => `${type} ${id}${reason === undefined ? '' : ` (${reason})`}`,
  );

/** A task that returns `given`. */
export const value = (given) => ({ run: async () => given });

/** A task that throws an error with `details`. */
export const failing = (message = 'broken', details = {}) => ({
  run: async () => {
    throw Object.assign(new Error(message), details);
  },
});

/** All events of a run under a manual clock, which advances by `stepMs` whenever all promises have settled. */
export async function play(clock, events, stepMs = 1, turns = 2000) {
  let done = false;
  const all = collect(events).finally(() => (done = true));
  all.catch(() => {});
  for (let i = 0; i < turns && !done; i++) {
    await settled();
    clock.advanceMs(stepMs);
  }
  return all;
}
