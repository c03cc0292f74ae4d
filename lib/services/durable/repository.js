import { cursorBehind } from '../../primitives/kv/scan.js';
import { segmentsOf } from './head.js';

/** @typedef {import('../../primitives/kv/namespaces.js').KvNamespace} KvNamespace */
/** @typedef {import('../../primitives/kv/namespaces.js').NamespaceTransaction} NamespaceTransaction */
/** @typedef {import('./head.js').Head} Head */

/** Limits of the names that are part of keys, as UTF-8. */
export const PATH_BYTES_MAX = 1024;
export const PRODUCER_ID_BYTES_MAX = 256;

/** Keys that are deleted in one transaction. */
const DELETED_AT_ONCE = 1000;
/** Maximum bytes of one read, except for one larger append. */
export const READ_BYTES_MAX = 1 << 20;
export const READ_CHUNKS_MAX = 1024;
const POSITION_DIGITS = 16;

const COUNTERS = 'n';
const GARBAGE = 'g/';
const headKey = (/** @type {string} */ path) => `s/${path}`;
const dataPrefix = (/** @type {number} */ id) => `d/${id}/`;
const producerPrefix = (/** @type {number} */ id) => `p/${id}/`;
const garbageKey = (/** @type {number} */ id) => GARBAGE + id;

/**
 * @param {number} id
 * @param {number} position
 */
function dataKey(id, position) {
  return dataPrefix(id) + String(position).padStart(POSITION_DIGITS, '0');
}

/**
 * Part of a stream.
 * @typedef {object} Part
 * @property {Buffer[]} chunks of one append each; the first and last may be cut
 * @property {number} to position after them
 */

/**
 * Streams as keys and values of a principal. Each change is one transaction. Main thread; all methods are
 * synchronous. `close()` ends its background work.
 *
 * A stream has a head (`s/PATH`), the data of each append under its position (`d/ID/POSITION`), and the
 * state of each producer (`p/ID/PRODUCER`). `n` counts the streams and has the next id. `g/ID` marks data
 * of a deleted stream that is still to be deleted.
 */
export class StreamRepository {
  #partition;
  #closed = false;

  /** @param {import('../../primitives/kv/namespaces.js').KvPartition} partition used only by this one */
  constructor(partition) {
    this.#partition = partition;
  }

  /**
   * @param {string} principal
   * @returns {KvNamespace}
   */
  of(principal) {
    return this.#partition.of(principal);
  }

  /** The namespaces that have streams. */
  used() {
    return this.#partition.used();
  }

  /**
   * @param {KvNamespace} space
   * @param {string} path
   * @returns {{head: Head, version: number} | undefined}
   */
  find(space, path) {
    const entry = space.get(headKey(path));
    return entry && { head: entry.value, version: entry.version };
  }

  /**
   * @param {KvNamespace} space
   * @returns {Generator<{path: string, head: Head}>}
   */
  *heads(space) {
    for (const { key, value } of space.items(headKey(''))) {
      yield { path: key.slice(headKey('').length), head: value };
    }
  }

  /**
   * @param {KvNamespace} space
   * @returns {number} number of streams, including deleted ones kept for their forks
   */
  count(space) {
    return space.get(COUNTERS)?.value.streams ?? 0;
  }

  /**
   * @param {KvNamespace} space
   * @param {string} path
   * @param {(id: number) => Head} make
   * @param {Buffer} content
   * @returns {{head: Head, version: number}}
   */
  create(space, path, make, content) {
    return this.#versioned(space, path, (tx) => {
      const { streams, next } = tx.get(COUNTERS)?.value ?? { streams: 0, next: 1 };
      const head = make(next);
      tx.set(COUNTERS, { streams: streams + 1, next: next + 1 });
      const source = head.source && tx.get(headKey(head.source.path))?.value;
      if (source) tx.set(headKey(head.source?.path ?? ''), { ...source, forks: source.forks + 1 });
      if (content.length > 0) tx.set(dataKey(next, head.base), content);
      return { ...head, tail: head.base + content.length };
    });
  }

  /**
   * @param {KvNamespace} space
   * @param {string} path
   * @param {Head} head the new head, without the content
   * @param {object} [added]
   * @param {Buffer} [added.content]
   * @param {import('./producers.js').Producer} [added.producer] that sent the request
   * @param {boolean} [added.limited] whether limits apply; default true
   * @returns {{head: Head, version: number}}
   */
  update(space, path, head, { content = Buffer.alloc(0), producer, limited } = {}) {
    const change = (/** @type {NamespaceTransaction} */ tx) => {
      if (content.length > 0) tx.set(dataKey(head.id, head.tail), content);
      if (producer !== undefined) {
        const { id, epoch, seq } = producer;
        tx.set(producerPrefix(head.id) + id, { epoch, seq });
      }
      return { ...head, tail: head.tail + content.length };
    };
    return this.#versioned(space, path, change, { limited });
  }

  /**
   * @param {KvNamespace} space
   * @param {Head} head
   * @param {string} producerId
   * @returns {import('./producers.js').ProducerState | undefined}
   */
  producer(space, head, producerId) {
    return space.get(producerPrefix(head.id) + producerId)?.value;
  }

  /**
   * Deletes a stream, or marks it as deleted while it has forks, and then its deleted sources that have no
   * forks left.
   * @param {KvNamespace} space
   * @param {string} path
   * @returns {string[]} paths of the removed streams
   */
  delete(space, path) {
    /** @type {number[]} */
    const ids = [];
    const gone = space.transactNow((tx) => deleteIn(tx, path, ids), undefined, { limited: false });
    for (const id of ids) this.collect(space, id);
    return gone;
  }

  /**
   * Deletes the data of a deleted stream: up to a thousand entries now, the rest in later turns.
   * @param {KvNamespace} space
   * @param {number} id
   */
  collect(space, id) {
    if (this.#collectSome(space, id, DELETED_AT_ONCE) === DELETED_AT_ONCE) {
      this.#later(() => this.collect(space, id));
    }
  }

  /**
   * Continues deletions that a restart has interrupted: up to a thousand entries now, the rest in later turns.
   * @param {KvNamespace} space
   */
  collectRest(space) {
    const marks = space.scan({ prefix: GARBAGE, limit: DELETED_AT_ONCE, keysOnly: true });
    let left = DELETED_AT_ONCE;
    for (const { key } of marks.items) {
      left -= this.#collectSome(space, Number(key.slice(GARBAGE.length)), left);
      if (left === 0) break;
    }
    if (left === 0 || marks.cursor !== undefined) this.#later(() => this.collectRest(space));
  }

  /**
   * @param {KvNamespace} space
   * @param {number} id
   * @param {number} most entries
   * @returns {number} number deleted; less than `most`: nothing is left, and the mark is removed
   */
  #collectSome(space, id, most) {
    let left = most;
    for (const prefix of [dataPrefix(id), producerPrefix(id)]) {
      const { items } = space.scan({ prefix, limit: left, keysOnly: true });
      const remove = (/** @type {NamespaceTransaction} */ tx) =>
        items.forEach(({ key }) => tx.delete(key));
      space.transactNow(remove, undefined, { limited: false });
      left -= items.length;
      if (left === 0) return most;
    }
    space.delete(garbageKey(id), {});
    return most - left + 1;
  }

  /** @param {() => void} work continued at the next start if the gateway closes before */
  #later(work) {
    setImmediate(() => this.#closed || work());
  }

  /** Ends deletions in the background. */
  close() {
    this.#closed = true;
  }

  /**
   * @param {KvNamespace} space
   * @param {Head} head
   * @param {number} from
   * @returns {Part} up to 1 MiB of its data from this position on
   */
  read(space, head, from) {
    /** @type {Buffer[]} */
    const chunks = [];
    let position = from;
    let bytes = 0;
    for (const { id, to } of segmentsOf(head)) {
      while (position < to && bytes < READ_BYTES_MAX && chunks.length < READ_CHUNKS_MAX) {
        const chunk = this.#chunkAt(space, id, position).subarray(0, to - position);
        if (bytes > 0 && bytes + chunk.length > READ_BYTES_MAX) return { chunks, to: position };
        chunks.push(chunk);
        bytes += chunk.length;
        position += chunk.length;
      }
    }
    return { chunks, to: position };
  }

  /**
   * @param {KvNamespace} space
   * @param {Head} head
   * @param {number} position
   * @returns {boolean} whether an append begins there, or the stream's data ends there
   */
  isBoundary(space, head, position) {
    const segment = segmentsOf(head).find(({ to }) => position < to);
    if (segment === undefined || position === segment.from) return position <= head.tail;
    return space.get(dataKey(segment.id, position)) !== undefined;
  }

  /**
   * @param {KvNamespace} space
   * @param {number} id
   * @param {number} position
   * @returns {Buffer} the rest of the append that contains this position
   */
  #chunkAt(space, id, position) {
    const key = dataKey(id, position);
    const exact = space.get(key);
    if (exact !== undefined) return exact.value;
    const cursor = cursorBehind(space.prefix + key, true);
    const [before] = space.scan({ prefix: dataPrefix(id), limit: 1, cursor, reverse: true }).items;
    const start = before === undefined ? position : Number(before.key.slice(dataPrefix(id).length));
    const rest = /** @type {Buffer | undefined} */ (before?.value)?.subarray(position - start);
    if (rest === undefined || rest.length === 0) {
      throw new Error(`stream ${id} has no data at position ${position}`);
    }
    return rest;
  }

  /**
   * @param {KvNamespace} space
   * @param {string} path
   * @param {(tx: NamespaceTransaction) => Head} change returns the new head
   * @param {{limited?: boolean}} [options]
   * @returns {{head: Head, version: number}}
   */
  #versioned(space, path, change, options) {
    let version = 0;
    const head = space.transactNow(
      (tx) => {
        const next = change(tx);
        tx.set(headKey(path), next);
        return next;
      },
      (_head, tx) => (version = tx.versionOf(headKey(path))),
      options,
    );
    return { head, version };
  }
}

/**
 * @param {NamespaceTransaction} tx
 * @param {string} path
 * @param {number[]} ids receives the ids of the removed streams
 * @returns {string[]} their paths
 */
function deleteIn(tx, path, ids) {
  const gone = [];
  /** @type {{path: string, id: number} | undefined} */
  let next = { path, id: tx.get(headKey(path))?.value.id };
  for (let first = true; next !== undefined; first = false) {
    /** @type {Head | undefined} */
    const head = tx.get(headKey(next.path))?.value;
    if (head === undefined || head.id !== next.id) break;
    const forks = first ? head.forks : head.forks - 1;
    const deleted = first || head.deleted === true;
    if (forks > 0 || !deleted) {
      tx.set(headKey(next.path), { ...head, forks, ...(deleted && { deleted }) });
      break;
    }
    tx.delete(headKey(next.path));
    tx.set(garbageKey(head.id), true);
    gone.push(next.path);
    ids.push(head.id);
    next = head.source;
  }
  const counters = tx.get(COUNTERS)?.value;
  if (gone.length > 0) tx.set(COUNTERS, { ...counters, streams: counters.streams - gone.length });
  return gone;
}
