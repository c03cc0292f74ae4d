/**
 * Any number of waits on one AbortSignal through one listener: Node warns of a leak at eleven listeners, although
 * sharing a signal between many requests is legitimate.
 */

/**
 * An AbortController whose signal is created on first access. Most jobs and requests end without an
 * abort, and no other code reads their signals; a controller and its signal take a kilobyte.
 */
export class AbortState {
  /** Whether `abort` has been called. */
  aborted = false;
  /** @type {unknown} */
  #reason = undefined;
  /** @type {AbortController | undefined} */
  #controller = undefined;
  /** Most states have one at a time. @type {(() => void)[] | (() => void) | undefined} */
  #callbacks = undefined;

  /** The reason of the abort; undefined before the abort. @returns {unknown} */
  get reason() {
    if (this.aborted) this.#reason ??= new DOMException('This operation was aborted', 'AbortError');
    return this.#reason;
  }

  get signal() {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.aborted) this.#controller.abort(this.reason);
    }
    return this.#controller.signal;
  }

  /**
   * Aborts once; later calls do nothing.
   * @param {unknown} [reason] default: an `AbortError`
   */
  abort(reason) {
    if (this.aborted) return;
    this.aborted = true;
    this.#reason = reason;
    const callbacks = this.#callbacks;
    if (typeof callbacks === 'function') callbacks();
    else if (callbacks !== undefined) callLastFirst(callbacks, (each) => callbacks.includes(each));
    this.#callbacks = undefined;
    this.#controller?.abort(this.reason);
  }

  throwIfAborted() {
    if (this.aborted) throw this.reason;
  }

  /**
   * Like `whenAborted`.
   * @param {() => void} callback
   * @returns {() => void}
   */
  whenAborted(callback) {
    // One function may be given twice; each gets an entry of its own.
    const entry = () => callback();
    const before = this.#callbacks;
    if (before === undefined) this.#callbacks = entry;
    else if (typeof before === 'function') this.#callbacks = [before, entry];
    else before.push(entry);
    return () => this.#release(entry);
  }

  /** @param {() => void} entry of a callback; one that is not waiting any more is ignored */
  #release(entry) {
    const callbacks = this.#callbacks;
    if (callbacks === entry) this.#callbacks = undefined;
    if (!Array.isArray(callbacks)) return;
    const at = callbacks.indexOf(entry);
    if (at >= 0) callbacks.splice(at, 1);
  }
}

/** The state behind the signal of an object from `withSignal`. */
const STATE = Symbol('abort state');

/** One function for all objects: with separate getters V8 would store each object as a dictionary. */
const SIGNAL = Object.freeze({
  /** @this {{[STATE]: AbortState}} */
  get() {
    return this[STATE].signal;
  },
  enumerable: true,
  configurable: true,
});

/**
 * Adds a member `signal`, created on first access.
 * @template {object} T
 * @param {T} object
 * @param {AbortState} state
 * @returns {T & {readonly signal: AbortSignal}} the same object
 */
export function withSignal(object, state) {
  Object.defineProperty(object, STATE, { value: state });
  return /** @type {any} */ (Object.defineProperty(object, 'signal', SIGNAL));
}

/** Objects accepted by `whenAborted`. @typedef {AbortSignal | AbortState} Abortable */

/** @type {WeakMap<AbortSignal, Set<() => void>>} */
const watched = new WeakMap();

/**
 * Calls `callback` when the signal is aborted, unless the returned function is called before. The
 * signal's listener is removed with the last callback.
 * @param {Abortable | undefined} signal not aborted yet
 * @param {() => void} callback must not throw
 * @returns {() => void}
 */
export function whenAborted(signal, callback) {
  if (signal === undefined) return () => {};
  if (signal instanceof AbortState) return signal.whenAborted(callback);
  const callbacks = watched.get(signal) ?? watch(signal);
  // The same function may be passed twice, so each call gets its own entry.
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
  if (callbacks !== undefined) callLastFirst(callbacks, (each) => callbacks.has(each));
}

/**
 * The latest callback runs first: in a queue, no waiter then moves up into a place that is released
 * just before its own callback runs.
 * @param {Iterable<() => void>} callbacks
 * @param {(callback: () => void) => boolean} waits false: another callback has released it
 */
function callLastFirst(callbacks, waits) {
  for (const callback of [...callbacks].reverse()) {
    if (waits(callback)) callback();
  }
}

/**
 * Combines signals until unlink(). AbortSignal.any() cannot be undone: its result stays registered
 * with a signal that lives as long as its provider, request after request.
 * @param {AbortSignal[]} sources
 * @returns {{signal: AbortSignal, abort: (reason?: unknown) => void, unlink: () => void}} `signal`
 *   is aborted with the first source's reason, or by abort(); unlink() removes the listeners from the sources
 */
export function linkSignals(sources) {
  const controller = new AbortController();
  /** @param {unknown} [reason] */
  const abort = (reason) => {
    unlink();
    controller.abort(reason);
  };
  const forward = () => abort(sources.find((source) => source.aborted)?.reason);
  // A provider's own signal is a source for any number of its concurrent requests.
  const releases = sources.map((source) => whenAborted(source, forward));
  const unlink = () => {
    for (const release of releases) release();
  };
  if (sources.some((source) => source.aborted)) forward();
  return { signal: controller.signal, abort, unlink };
}
