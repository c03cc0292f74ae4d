import { whenAborted } from '../../internal/util/abort.js';

/** @typedef {import('../../primitives/kv/namespaces.js').KvNamespace} KvNamespace */

/**
 * Readers that wait for a change of a stream. Main thread.
 */
export class Readers {
  /** @type {Map<string, Set<() => void>>} */
  #waiting = new Map();

  /**
   * @param {KvNamespace} space
   * @param {string} path
   * @returns {boolean} whether anyone waits for this stream
   */
  has(space, path) {
    return this.#waiting.has(space.prefix + path);
  }

  /**
   * Resolves at the next change of a stream, or when the signal is aborted.
   * @param {KvNamespace} space
   * @param {string} path
   * @param {AbortSignal} signal
   * @returns {Promise<void>}
   */
  next(space, path, signal) {
    const key = space.prefix + path;
    return new Promise((resolve) => {
      if (signal.aborted) {
        resolve();
        return;
      }
      const waiting = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, waiting);
      const done = () => {
        release();
        waiting.delete(done);
        if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key);
        resolve();
      };
      waiting.add(done);
      const release = whenAborted(signal, done);
    });
  }

  /**
   * @param {KvNamespace} space
   * @param {string} path of a stream that has changed
   */
  wake(space, path) {
    for (const done of [...(this.#waiting.get(space.prefix + path) ?? [])]) done();
  }

  /** @param {{prefix: string}} [space] whose streams have changed; default: all */
  wakeAll({ prefix } = { prefix: '' }) {
    for (const [key, waiting] of [...this.#waiting]) {
      if (key.startsWith(prefix)) for (const done of [...waiting]) done();
    }
  }
}
