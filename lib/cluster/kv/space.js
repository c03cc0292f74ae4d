import { storeFull } from '../../primitives/kv/errors.js';
import { endMsOf, entryOf } from './wire.js';

/** @typedef {import('./wire.js').StoredEntry} StoredEntry */
/** @typedef {import('./wire.js').KeyRange} KeyRange */

/**
 * The reads of a transaction.
 * @typedef {object} Reads
 * @property {number} start version of the store at its first read
 * @property {number} checked last version of the store at which all reads were still valid
 * @property {Map<string, StoredEntry | undefined>} keys undefined: absent
 * @property {{range: KeyRange, count: number}[]} ranges number of keys in each; all are in `keys`
 */
/**
 * One change of a commit.
 * @typedef {object} Change
 * @property {'set' | 'delete' | 'touch' | 'add'} op
 * @property {string} key
 * @property {string | Buffer} [data]
 * @property {number} [kind]
 * @property {string} [ttl] in the format of the script
 */
/**
 * The keys of one principal, with their own limits.
 * @typedef {{maxKeys: number, maxBytes: number}} SpaceLimits
 */
/**
 * @typedef {{status: 'CONFLICT', key: string, version: number} | {status: 'FULL', limit: string} |
 *   {status: 'OTHER'} | {status: 'OK', nowMs: number, changes: Committed[]}} CommitAnswer
 */
/**
 * @typedef {object} Committed
 * @property {number} version 0: nothing was changed
 * @property {number} previous version before; 0: the key was absent
 * @property {string} sum of `add`
 * @property {number} endMs last millisecond at which the key exists; Infinity: no expiry
 */

/** No earlier reads. */
const NO_READS = Object.freeze(['', '', '-']);

/** @param {Reads} reads @returns {(string | Buffer)[]} in the format of the scripts */
function wireOf({ keys, ranges }) {
  const flat = [String(keys.size)];
  for (const [key, entry] of keys) flat.push(key, String(entry?.version ?? 0));
  /** @type {(string | Buffer)[]} */
  const wire = [...flat, String(ranges.length)];
  for (const { range, count } of ranges) wire.push(range.from, range.to, String(count));
  return wire;
}

/** The scripts of one space of a key-value store. Main thread. */
export class KvSpaceScripts {
  #calls;
  #keys;
  #space;
  /** By name. @type {Record<string, number | undefined>} */
  #limits;

  /**
   * @param {object} deps
   * @param {import('../client/script-calls.js').ScriptCalls} deps.calls
   * @param {string} deps.store its key, without the prefix
   * @param {string} deps.space without `/`
   * @param {{maxKeys: number, maxBytes: number}} deps.limits of the store
   * @param {SpaceLimits} [deps.share] limits of the space
   */
  constructor({ calls, store, space, limits, share }) {
    this.#calls = calls;
    this.#keys = [store];
    this.#space = space;
    const { maxKeys, maxBytes } = limits;
    this.#limits = {
      ...{ maxKeys, maxBytes },
      maxKeysPerPrincipal: share?.maxKeys,
      maxBytesPerPrincipal: share?.maxBytes,
    };
  }

  /**
   * @param {string} limit that the script has named
   * @returns {import('../../internal/util/errors.js').SluiceError} ERR_KV_FULL
   */
  full(limit) {
    return storeFull(limit, this.#limits[limit]);
  }

  /**
   * Reads keys; within a transaction, at a state at which all of its earlier reads are still valid.
   * @param {string[]} keys
   * @param {{values: boolean, reads?: Reads}} options
   * @returns {Promise<{version: number, nowMs: number, entries: (StoredEntry | undefined)[]} | undefined>}
   *   `version` of the store; undefined: a read key has changed
   */
  async read(keys, { values, reads }) {
    const args = [this.#space, values ? 1 : 0, keys.length, ...keys];
    const answer = await this.#askWith('kv/read', args, reads);
    if (answer === undefined) return undefined;
    const [version, nowUs, entries] = answer;
    return { version: Number(version), nowMs: Number(nowUs) / 1000, entries: entries.map(entryOf) };
  }

  /**
   * Reads a page of a range, like `read`.
   * @param {KeyRange} range
   * @param {{reverse: boolean, values: boolean, limit: number, maxBytes?: number, reads?: Reads}} options
   *   `maxBytes` of values in a page with more than one item; default: any
   * @returns {Promise<{version: number, nowMs: number, isMore: boolean,
   *   entries: {key: string, entry: StoredEntry}[]} | undefined>}
   */
  async scan({ from, to }, { reverse, values, limit, maxBytes, reads }) {
    const args = [this.#space, from, to, reverse ? 1 : 0, values ? 1 : 0, limit, maxBytes ?? ''];
    const answer = await this.#askWith('kv/scan', args, reads);
    if (answer === undefined) return undefined;
    const [version, nowUs, more, ...fields] = answer;
    const entries = [];
    for (let at = 0; at < fields.length; at += 6) {
      const [key, ...entry] = fields.slice(at, at + 6);
      entries.push({ key: String(key), entry: /** @type {StoredEntry} */ (entryOf(entry)) });
    }
    const [isMore, nowMs] = [String(more) === '1', Number(nowUs) / 1000];
    return { version: Number(version), nowMs, isMore, entries };
  }

  /**
   * @param {string} name
   * @param {(string | number | Buffer)[]} args
   * @param {Reads} [reads]
   */
  async #askWith(name, args, reads) {
    const versions = reads && [String(reads.start), String(reads.checked)];
    const known = versions === undefined ? NO_READS : [...versions, '-'];
    const [status, ...rest] = await this.#run(name, [...args, ...known]);
    if (String(status) === 'OK') return rest;
    if (String(status) === 'CONFLICT' || versions === undefined || reads === undefined) {
      return undefined;
    }
    // The store has changed; compare the keys that were read.
    const again = await this.#run(name, [...args, ...versions, ...wireOf(reads)]);
    return String(again[0]) === 'OK' ? again.slice(1) : undefined;
  }

  /**
   * Makes all changes if the reads are still valid, otherwise none.
   * @param {Reads} reads
   * @param {Change[]} changes in the order of keys
   * @returns {Promise<CommitAnswer>}
   */
  async commit(reads, changes) {
    const limits = Object.values(this.#limits).map((limit) => limit ?? '');
    const flat = changes.flatMap(({ op, key, data = '', kind = 0, ttl = '' }) => [
      ...[op, key, kind, data, ttl],
    ]);
    const { runId } = this.#calls;
    const args = [runId, this.#space, ...limits, ...wireOf(reads), changes.length, ...flat];
    const [status, ...rest] = await this.#run('kv/commit', args);
    switch (String(status)) {
      case 'CONFLICT':
        return { status: 'CONFLICT', key: String(rest[0]), version: Number(rest[1]) };
      case 'FULL':
        return { status: 'FULL', limit: String(rest[0]) };
      case 'OTHER':
        return { status: 'OTHER' };
    }
    const [, nowUs, ...versions] = rest;
    const committed = changes.map((_, i) => {
      const [version, previous, sum, end] = versions.slice(4 * i, 4 * i + 4).map(String);
      return { version: Number(version), previous: Number(previous), sum, endMs: endMsOf(end) };
    });
    return { status: 'OK', nowMs: Number(nowUs) / 1000, changes: committed };
  }

  /**
   * Deletes up to `most` keys.
   * @param {number} most
   * @returns {Promise<number>} number deleted; 0: none is left
   */
  async clear(most) {
    const [, count] = await this.#run('kv/clear', [this.#calls.runId, this.#space, most]);
    return Number(count);
  }

  /**
   * @param {string} name
   * @param {(string | number | Buffer)[]} args
   * @returns {Promise<any[]>}
   */
  #run(name, args) {
    return this.#calls.run(name, this.#keys, args, { bytes: true });
  }
}

/** @returns {Reads} a transaction without reads */
export function noReads() {
  return { start: 0, checked: 0, keys: new Map(), ranges: [] };
}
