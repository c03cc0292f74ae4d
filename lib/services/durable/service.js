import { DEFAULT_TYPE, contentOf, mediaTypeOf } from './content.js';
import { PATH_BYTES_MAX } from './repository.js';
import { byteLimits } from '../../primitives/kv/options.js';
import { StreamReads } from './reads.js';
import { StreamRegistry, checkPath } from './registry.js';
import {
  bodyEmpty,
  contentTypeMismatch,
  limitReached,
  streamClosed,
  streamSeqConflict,
  typeMissing,
} from './errors.js';
import { checkSettings, expiryOf } from './head.js';
import { forkPositionOf, originAt } from './forks.js';
import { isNewRequest } from './producers.js';

/** @typedef {import('../../primitives/kv/namespaces.js').KvNamespace} KvNamespace */
/** @typedef {import('./head.js').Head} Head */
/** @typedef {import('./head.js').Settings} Settings */
/** @typedef {import('./producers.js').Producer} Producer */
/** @typedef {import('./reads.js').Read} Read */
/** @typedef {import('./registry.js').Found} Found */

/**
 * The option `durable` of `createGateway`, checked.
 * @typedef {import('../../jobs/settings.js').Settings['durable']} DurableOptions
 */

/** @typedef {import('./port.js').Append} Append */
/** @typedef {import('./port.js').Appended} Appended */
/** @typedef {import('./port.js').DurablePort} DurablePort */

/**
 * Streams of the Durable Streams protocol: logs of bytes or of JSON messages that callers create, append
 * to and read by offset. Each principal has its own paths.
 *
 * The streams are a partition of the gateway's key-value store, and so in its data file: unlike
 * the logs of jobs they hold any bytes, are never cut at the front, and last until they are deleted.
 * An answer waits until its changes are on the disk. Main thread; `close()` ends it.
 * @implements {DurablePort}
 */
export class DurableStreams {
  #registry;
  #repository;
  #reads;
  #namespaces;
  #options;
  #memory;
  #unixMs;

  /**
   * @param {object} deps
   * @param {import('../../primitives/kv/namespaces.js').KvNamespaces} deps.namespaces
   * @param {import('../../primitives/kv/namespaces.js').KvPartition} deps.partition used only by these streams
   * @param {DurableOptions} deps.options
   * @param {import('../../internal/util/memory-budget.js').MemoryBudget} deps.memory
   * @param {() => number} deps.unixMs
   * @param {import('../../internal/time/timers.js').Deadlines} deps.timers
   */
  constructor({ namespaces, partition, options, memory, unixMs, timers }) {
    this.#registry = new StreamRegistry({ namespaces, partition, unixMs, timers });
    this.#repository = this.#registry.repository;
    this.#reads = new StreamReads(this.#registry);
    this.#namespaces = namespaces;
    this.#options = options;
    this.#memory = memory;
    this.#unixMs = unixMs;
  }

  /** Streams of all principals. */
  get size() {
    return this.#registry.total;
  }

  /**
   * @param {string} principal
   * @param {string} path
   * @param {Settings} settings
   * @param {Buffer} body first content
   * @returns {Promise<{head: Head, created: boolean}>} `created: false`: it existed with these settings
   * @throws {import('../../internal/util/http-error.js').HttpError} 400, 404, 409, 507
   */
  async create(principal, path, settings, body) {
    checkPath('path', path);
    const space = this.#repository.of(principal);
    const { head, version, created } = await this.#registry.decided(() => {
      const there = this.#registry.find(space, path);
      if (there === undefined) {
        return { ...this.#create(principal, { space, path }, settings, body), created: true };
      }
      checkSettings(there.head, settings);
      return { ...there, created: false };
    });
    await this.#registry.synced(version);
    return { head, created };
  }

  /**
   * @param {string} principal
   * @param {string} path
   * @param {Append} append
   * @returns {Promise<Appended>}
   * @throws {import('../../internal/util/http-error.js').HttpError} 400, 403, 404, 409, 410, 507
   */
  async append(principal, path, append) {
    const space = this.#repository.of(principal);
    const { version, ...appended } = await this.#registry.decided(() =>
      this.#append(principal, { space, path }, this.#registry.require(space, path), append),
    );
    try {
      await this.#registry.synced(version);
    } finally {
      // Only now, because data for readers must be on the disk, too.
      this.#registry.readers.wake(space, path);
    }
    return appended;
  }

  /**
   * @param {string} principal
   * @param {string} path
   * @returns {Promise<Head>}
   * @throws {import('../../internal/util/http-error.js').HttpError} 404, 410
   */
  async head(principal, path) {
    const space = this.#repository.of(principal);
    const found = await this.#registry.decided(() => this.#registry.require(space, path));
    await this.#registry.synced(found.version);
    return found.head;
  }

  /**
   * @param {string} principal
   * @param {string} path
   * @throws {import('../../internal/util/http-error.js').HttpError} 404, 410
   */
  async delete(principal, path) {
    const space = this.#repository.of(principal);
    await this.#registry.decided(() => {
      this.#registry.require(space, path);
      this.#namespaces.checkRoom();
      this.#registry.delete(space, path);
    });
    await this.#registry.synced();
  }

  /**
   * Reads up to 1 MiB, or one larger append: see `StreamReads.read`.
   * @param {string} principal
   * @param {string} path
   * @param {string} offset
   * @returns {Promise<Read>}
   */
  read(principal, path, offset) {
    return this.#reads.read(this.#repository.of(principal), path, offset);
  }

  /**
   * Waits for the data after a read: see `StreamReads.next`.
   * @param {string} principal
   * @param {string} path
   * @param {Read} before
   * @param {AbortSignal} signal
   * @returns {Promise<Read>}
   */
  next(principal, path, before, signal) {
    return this.#reads.next(this.#repository.of(principal), path, before, signal);
  }

  /**
   * A read and all later ones: see `StreamReads.follow`.
   * @param {string} principal
   * @param {string} path
   * @param {Read} first
   * @param {AbortSignal} signal
   * @returns {AsyncGenerator<Read>}
   */
  follow(principal, path, first, signal) {
    return this.#reads.follow(this.#repository.of(principal), path, first, signal);
  }

  /**
   * Deletes all streams of a principal.
   * @param {string} principal
   */
  erase(principal) {
    this.#registry.erase(this.#repository.of(principal));
  }

  /** Ends all waits and timers. */
  close() {
    this.#reads.close();
    this.#registry.close();
  }

  /**
   * @param {string} principal
   * @param {{space: KvNamespace, path: string}} place
   * @param {Settings} settings
   * @param {Buffer} body
   * @returns {Found}
   */
  #create(principal, { space, path }, settings, body) {
    const { closed, ...asked } = settings;
    const origin = this.#originOf(space, settings);
    const type = settings.type ?? origin?.source.type ?? DEFAULT_TYPE;
    const content = contentOf(type, body, { empty: true });
    this.#checkRoom(principal, content.length);
    this.#checkCount(space);
    const { ttlMs: idleMs } = this.#options;
    const unset = { ttlMs: idleMs === Infinity ? null : idleMs, expiresMs: null };
    const expiry = expiryOf(settings, origin?.source ?? unset);
    const make = (/** @type {number} */ id) => ({
      ...{ id, space: id, type, asked, ...expiry, deadlineMs: this.#deadlineOf(expiry) },
      ...{ inherited: [], base: 0, tail: 0, forks: 0, closed, ...origin?.fields },
    });
    const made = this.#limited(() => this.#repository.create(space, path, make, content));
    this.#registry.total += 1;
    this.#registry.deadlines.set(space, path, made.head);
    return made;
  }

  /**
   * @param {KvNamespace} space
   * @param {Settings} settings
   */
  #originOf(space, { from, ...settings }) {
    if (from === undefined) return undefined;
    checkPath('stream-forked-from', from);
    const source = this.#registry.find(space, from)?.head;
    const fork = forkPositionOf(source, { ...settings, from });
    const { position } = fork;
    return originAt(fork, {
      isBoundary: this.#repository.isBoundary(space, fork.source, position),
      chunk: () => this.#repository.read(space, fork.source, position).chunks[0],
    });
  }

  /**
   * @param {string} principal
   * @param {{space: KvNamespace, path: string}} place
   * @param {Found} found
   * @param {Append} append
   * @returns {Appended & {version: number}}
   */
  #append(principal, { space, path }, { head, version }, { body, type, seq, close, producer }) {
    const unchanged = { head, version, repeated: true };
    if (head.closed) {
      if (producer === undefined && close && body.length === 0) return unchanged;
      if (!isSame(head.closedBy, producer)) throw streamClosed(head);
      return { ...unchanged, producerSeq: producer?.seq };
    }
    if (body.length > 0) checkType(head, type);
    else if (!close) throw bodyEmpty();
    if (producer !== undefined) {
      const state = this.#repository.producer(space, head, producer.id);
      if (!isNewRequest(state, producer)) return { ...unchanged, producerSeq: state?.seq };
    }
    if (seq !== undefined && head.seq !== undefined && seq <= head.seq) {
      throw streamSeqConflict(head.seq);
    }
    const content = contentOf(head.type, body);
    this.#checkRoom(principal, content.length);
    const changed = {
      ...{ ...head, closed: close, deadlineMs: this.#deadlineOf(head) },
      ...(seq !== undefined && { seq }),
      ...(close && producer !== undefined && { closedBy: producer }),
    };
    const added = { content, producer, limited: content.length > 0 };
    const updated = this.#limited(() => this.#repository.update(space, path, changed, added));
    this.#registry.deadlines.set(space, path, updated.head);
    return { ...updated, repeated: false, producerSeq: producer?.seq };
  }

  /**
   * @param {{ttlMs: number | null, expiresMs: number | null}} expiry
   * @returns {number | null} Unix time, after an access now
   */
  #deadlineOf({ ttlMs, expiresMs }) {
    return ttlMs === null ? expiresMs : this.#unixMs() + ttlMs;
  }

  /**
   * @param {string} principal
   * @param {number} bytes
   */
  #checkRoom(principal, bytes) {
    this.#namespaces.checkRoom();
    this.#memory.check('durable', principal, bytes);
  }

  /** @param {KvNamespace} space */
  #checkCount(space) {
    const { maxStreams, maxStreamsPerPrincipal: own } = this.#options;
    const count = this.#repository.count(space);
    if (count >= own) throw limitReached('maxStreamsPerPrincipal', this.#options);
    if (this.size >= maxStreams) throw limitReached('maxStreams', this.#options);
  }

  /**
   * @template T
   * @param {() => T} change
   * @returns {T}
   * @throws {import('../../internal/util/http-error.js').HttpError} 507
   */
  #limited(change) {
    try {
      return change();
    } catch (/** @type {any} */ error) {
      if (error?.code !== 'ERR_KV_FULL') throw error;
      throw limitReached(error.limit, this.#options, error);
    }
  }
}

/**
 * @param {Head} head
 * @param {string | undefined} type
 */
function checkType(head, type) {
  if (type === undefined) throw typeMissing();
  if (mediaTypeOf(type) !== mediaTypeOf(head.type)) throw contentTypeMismatch(head.type);
}

/**
 * @param {Producer | undefined} first
 * @param {Producer | undefined} second
 */
function isSame(first, second) {
  if (first === undefined || second === undefined) return false;
  return first.id === second.id && first.epoch === second.epoch && first.seq === second.seq;
}

/**
 * @param {DurableOptions} options
 * @returns {import('../../primitives/kv/options.js').KvPartitionLimits}
 */
export function partitionLimits({ maxBytes, maxBytesPerPrincipal }) {
  // The registry checks names in keys, and the HTTP handler checks bodies.
  return byteLimits({ maxBytes, maxBytesPerPrincipal, maxKeyBytes: 2 * PATH_BYTES_MAX });
}
