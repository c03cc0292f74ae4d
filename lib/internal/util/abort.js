/**
 * Any number of waits on one AbortSignal through one listener: Node warns of a leak at eleven, and
 * a signal shared by many requests is none.
 */

/** @type {WeakMap<AbortSignal, Set<() => void>>} */
const watched = new WeakMap();

/**
 * Calls `callback` when the signal is aborted, unless the returned function is called before. The
 * signal's listener goes with the last callback.
 * @param {AbortSignal | undefined} signal not aborted yet
 * @param {() => void} callback must not throw
 * @returns {() => void}
 */
export function whenAborted(signal, callback) {
  if (signal === undefined) return () => {};
  const callbacks = watched.get(signal) ?? watch(signal);
  // One function may be given twice; each gets an entry of its own.
  const entry = () => callback();
  callbacks.add(entry);
  return () => {
    callbacks.delete(entry);
    if (callbacks.size > 0 || watched.get(signal) !== callbacks) return;
    watched.delete(signal);
    signal.removeEventListener('abort', onAbort);
  };
}

/** @param {AbortSignal} signal */
function watch(signal) {
  /** @type {Set<() => void>} */
  const callbacks = new Set();
  watched.set(signal, callbacks);
  signal.addEventListener('abort', onAbort, { once: true });
  return callbacks;
}

/** @param {Event} event */
function onAbort({ target }) {
  const signal = /** @type {AbortSignal} */ (target);
  const callbacks = watched.get(signal);
  watched.delete(signal);
  // The last to come goes first: where they stand in a line, nobody moves up into a place that is
  // given up a moment before his own turn. A callback may release others; those are left out.
  for (const callback of [...(callbacks ?? [])].reverse()) {
    if (callbacks?.has(callback)) callback();
  }
}
