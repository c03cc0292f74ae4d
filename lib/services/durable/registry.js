import { HttpError, badRequest } from '../../internal/util/http-error.js';
import { Deadlines } from './deadlines.js';
import { Readers } from './readers.js';
import { PATH_BYTES_MAX, StreamRepository } from './repository.js';
import { streamGone, streamNotFound } from './errors.js';

/** @typedef {import('../../primitives/kv/namespaces.js').KvNamespace} KvNamespace */
/** @typedef {import('./head.js').Head} Head */
/** @typedef {{head: Head, version: number}} Found */

/** First segment of the protocol's own paths. */
const RESERVED = '__ds';

/**
 * @param {string} param
 * @param {string} path
 * @throws {import('../../internal/util/http-error.js').HttpError} 400; 404 for a path that the protocol
 *   reserves
 */
export function checkPath(param, path) {
  if (path === RESERVED || path.startsWith(`${RESERVED}/`)) {
    const message = 'Subscriptions of the protocol are not served.';
    throw new HttpError(404, { code: 'not_found', param, message });
  }
  if (path !== '' && Buffer.byteLength(path) <= PATH_BYTES_MAX) return;
  throw badRequest('invalid_value', param, `${param} takes 1 to ${PATH_BYTES_MAX} bytes of UTF-8.`);
}

/**
 * The existing streams: finds and expires them, and wakes readers that wait for a change.
 * Main thread; `close()` ends its timer and all waits.
 */
export class StreamRegistry {
  #namespaces;
  /** Number of streams of all principals, including deleted ones kept for their forks. */
  total = 0;
  readers = new Readers();
  /** A wait for the disk that has not ended. @type {{version: number, done: Promise<void>} | undefined} */
  #syncing;

  /**
   * @param {object} deps
   * @param {import('../../primitives/kv/namespaces.js').KvNamespaces} deps.namespaces
   * @param {import('../../primitives/kv/namespaces.js').KvPartition} deps.partition
   * @param {() => number} deps.unixMs
   * @param {import('../../internal/time/timers.js').Deadlines} deps.timers
   */
  constructor({ namespaces, partition, unixMs, timers }) {
    this.#namespaces = namespaces;
    this.repository = new StreamRepository(partition);
    this.deadlines = new Deadlines({ unixMs, timers, onSweep: () => this.#sweep() });
    for (const space of this.repository.used()) this.#restore(space);
  }

  /**
   * @param {KvNamespace} space
   * @param {string} path
   * @returns {Found | undefined} undefined also for an expired stream
   */
  find(space, path) {
    if (this.deadlines.isOver(space, path) && !this.readers.has(space, path)) {
      this.delete(space, path);
    }
    return this.repository.find(space, path);
  }

  /**
   * @param {KvNamespace} space
   * @param {string} path
   * @returns {Found}
   * @throws {import('../../internal/util/http-error.js').HttpError} 400, 404, 410
   */
  require(space, path) {
    checkPath('path', path);
    const found = this.find(space, path);
    if (found === undefined) throw streamNotFound();
    if (found.head.deleted) throw streamGone();
    return found;
  }

  /**
   * @param {KvNamespace} space
   * @param {string} path
   */
  delete(space, path) {
    const gone = this.repository.delete(space, path);
    this.total -= gone.length;
    for (const each of [path, ...gone]) {
      this.deadlines.delete(space, each);
      this.readers.wake(space, each);
    }
  }

  /** @param {KvNamespace} space whose streams are deleted */
  erase(space) {
    this.total -= this.repository.count(space);
    this.deadlines.clear(space);
    space.clear();
    this.readers.wakeAll(space);
  }

  /**
   * Moves the expiry of a stream that is read.
   * @param {KvNamespace} space
   * @param {string} path
   * @param {Head} head
   */
  touch(space, path, head) {
    const deadlineMs = this.deadlines.touch(space, path);
    if (deadlineMs === undefined) return;
    this.repository.update(space, path, { ...head, deadlineMs }, { limited: false });
  }

  /**
   * Runs a synchronous decision. The refusal for a missing stream waits for the
   * disk, so that no crash can restore the stream.
   * @template T
   * @param {() => T} decide
   * @returns {Promise<T>}
   */
  async decided(decide) {
    try {
      return decide();
    } catch (/** @type {any} */ error) {
      if (error?.status === 404 || error?.status === 410) await this.#namespaces.synced();
      throw error;
    }
  }

  /**
   * Waits until a version is on the disk; calls for the same version share one wait.
   * @param {number} [version] default: everything so far
   * @returns {Promise<void>}
   * @throws {import('../../internal/util/http-error.js').HttpError} 507 or 503
   */
  synced(version) {
    if (version === undefined) return this.#namespaces.synced();
    const syncing = this.#syncing;
    if (syncing !== undefined && syncing.version >= version) return syncing.done;
    const done = this.#namespaces.synced(version).finally(() => {
      if (this.#syncing?.done === done) this.#syncing = undefined;
    });
    this.#syncing = { version, done };
    return done;
  }

  close() {
    this.repository.close();
    this.deadlines.close();
    this.readers.wakeAll();
  }

  /** @param {KvNamespace} space of a principal, from the data file */
  #restore(space) {
    this.total += this.repository.count(space);
    for (const { path, head } of this.repository.heads(space)) {
      if (!head.deleted) this.deadlines.set(space, path, head);
    }
    this.repository.collectRest(space);
  }

  #sweep() {
    for (const { space, path } of this.deadlines.over()) {
      if (this.readers.has(space, path)) this.deadlines.extend(space, path);
      else this.delete(space, path);
    }
  }
}
