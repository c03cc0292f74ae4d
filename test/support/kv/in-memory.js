import { KvStore, ManualClock } from '../../../lib/index.js';

/** A store in memory under a clock of its own. */
export function makeInMemory(options) {
  const clock = new ManualClock();
  return { clock, store: new KvStore({ clock, ...options }) };
}
