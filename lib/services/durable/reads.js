import { checkBoundary, positionIn, readOf } from './positions.js';
import { following } from './following.js';
import { streamNotFound } from './errors.js';

/** @typedef {import('../../primitives/kv/namespaces.js').KvNamespace} KvNamespace */
/** @typedef {import('./head.js').Head} Head */

/** @typedef {import('./port.js').Read} Read */

/**
 * Reads streams, and waits for more. Returned data is on the disk. Main thread; `close()` ends all
 * waits.
 */
export class StreamReads {
  #registry;
  #closed = false;
  /** The last read of this turn of the event loop, since many readers may wait for the same data.
   * @type {{key: string, version: number, read: Read} | undefined} */
  #recent;

  /** @param {import('./registry.js').StreamRegistry} registry */
  constructor(registry) {
    this.#registry = registry;
  }

  /**
   * Reads up to 1 MiB, or one larger append.
   * @param {KvNamespace} space
   * @param {string} path
   * @param {string} offset as sent by the client; `-1`: from the beginning; `now`: no data before the end
   * @returns {Promise<Read>}
   * @throws {import('../../internal/util/http-error.js').HttpError} 400, 404, 410
   */
  async read(space, path, offset) {
    const { version, read } = await this.#registry.decided(() => {
      const found = this.#registry.require(space, path);
      return this.#readFrom(space, path, found, this.#positionOf(space, found.head, offset));
    });
    await this.#registry.synced(version);
    return read;
  }

  /**
   * Waits for the data after a read.
   * @param {KvNamespace} space
   * @param {string} path
   * @param {Read} before
   * @param {AbortSignal} signal
   * @returns {Promise<Read>} without data if the stream is closed, the signal is aborted, or the gateway
   *   closes
   * @throws {import('../../internal/util/http-error.js').HttpError} 404, 410
   */
  async next(space, path, before, signal) {
    const { readers, deadlines } = this.#registry;
    for (;;) {
      const { found, changed } = await this.#registry.decided(() => {
        const { head, version } = this.#registry.require(space, path);
        if (head.id !== before.head.id) throw streamNotFound();
        const more = head.tail > before.to || head.closed;
        if (more || signal.aborted || this.#closed) {
          return { found: this.#readFrom(space, path, { head, version }, before.to) };
        }
        // The wait begins in this turn of the event loop, so that it misses no change.
        return { changed: readers.next(space, path, signal) };
      });
      if (found !== undefined) {
        await this.#registry.synced(found.version);
        return found.read;
      }
      await changed;
      // A stream does not expire while a reader waits for it.
      deadlines.extend(space, path);
    }
  }

  /**
   * A read and all later ones, up to the end of the stream.
   * @param {KvNamespace} space
   * @param {string} path
   * @param {Read} first
   * @param {AbortSignal} signal ends it
   * @returns {AsyncGenerator<Read>}
   * @throws {import('../../internal/util/http-error.js').HttpError} 404, 410: the stream was deleted
   */
  follow(space, path, first, signal) {
    const next = (/** @type {Read} */ before) => this.next(space, path, before, signal);
    return following(first, next, () => signal.aborted || this.#closed);
  }

  close() {
    this.#closed = true;
  }

  /**
   * @param {KvNamespace} space
   * @param {string} path
   * @param {import('./registry.js').Found} found
   * @param {number} from
   * @returns {{read: Read, version: number}}
   */
  #readFrom(space, path, { head, version }, from) {
    const key = space.prefix + path;
    let read = this.#recent?.read;
    const known = this.#recent?.key === key && this.#recent.version === version;
    if (read === undefined || !known || read.from !== from) {
      read = readOf(head, from, this.#registry.repository.read(space, head, from));
      if (this.#recent === undefined) setImmediate(() => (this.#recent = undefined)).unref();
      this.#recent = { key, version, read };
    }
    this.#registry.touch(space, path, head);
    return { read, version };
  }

  /**
   * @param {KvNamespace} space
   * @param {Head} head
   * @param {string} offset
   * @returns {number}
   */
  #positionOf(space, head, offset) {
    const position = positionIn(head, offset);
    checkBoundary(head, () => this.#registry.repository.isBoundary(space, head, position));
    return position;
  }
}
