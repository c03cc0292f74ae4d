import { KvStore, ManualClock } from '../../../lib/index.js';

/** A store in memory under its own clock. */
export function makeInMemory(options) {
  const clock = new ManualClock();
  return { clock, store: new KvStore({ clock, ...options }) };
}
