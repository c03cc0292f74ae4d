import { fieldsOf } from './client/scripts.js';

/** @typedef {import('../jobs/policy/config.js').AccessConfig} AccessConfig */
/** @typedef {import('../jobs/policy/config.js').KeyConfig} KeyConfig */

/** The field with the number of changes; no key has a space in its id. */
const VERSION = ' version';
/** Entry for a key of the file that was deleted over HTTP. */
const DELETED = '{"deleted":true}';
/** Beats between two checks for a change whose message was lost. */
const LOOK_EVERY = 10;

/**
 * @param {readonly KeyConfig[] | undefined} own keys of this process's file
 * @param {ReadonlyMap<string, KeyConfig | null>} changed by id; null: deleted
 * @returns {KeyConfig[] | undefined} the changed keys of the file, then further keys by id;
 *   undefined: there are no keys, and never were
 */
function merged(own, changed) {
  if (own === undefined && changed.size === 0) return undefined;
  const known = new Set((own ?? []).map(({ id }) => id));
  const kept = (own ?? []).map((key) => {
    const entry = changed.get(key.id);
    return entry === undefined ? key : entry;
  });
  const further = [...changed]
    .filter(([id]) => !known.has(id))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return [...kept, ...further.map(([, entry]) => entry)].filter((key) => key !== null);
}

/**
 * Changes of keys over HTTP, in Redis, for all processes of a deployment: hashes, limits and rights, but no
 * plain keys. They override the entries of a process's own file. Processes write them again when Redis has lost
 * them. Main thread; lives as long as its cluster.
 */
export class SharedKeys {
  #redis;
  #log;
  /** @type {AccessConfig} the file of this process */
  #own;
  /** @type {Map<string, KeyConfig | null>} */
  #changed = new Map();
  #version = '0';
  /** Versions of the configurations that `read` returned. @type {WeakMap<AccessConfig, string>} */
  #versions = new WeakMap();
  /** @type {(access: AccessConfig) => void} */
  #apply = () => {};
  #beats = 0;
  /** @type {Promise<void> | undefined} */
  #reading;

  /**
   * @param {object} deps
   * @param {import('./cluster.js').Cluster} deps.cluster
   * @param {AccessConfig} deps.own configuration of this process, without the changes in Redis
   * @param {import('../internal/util/logger.js').Logger} deps.log
   */
  constructor({ cluster, own, log }) {
    this.#redis = cluster.redis;
    this.#own = own;
    this.#log = log;
    cluster.on('joined', () => void this.#follow());
    cluster.on('keys', () => void this.#follow());
    cluster.on('beat', () => {
      this.#beats += 1;
      if (this.#beats % LOOK_EVERY === 0) void this.#look();
    });
  }

  /**
   * @param {(access: AccessConfig) => void} apply puts a configuration in force; may throw
   */
  applyWith(apply) {
    this.#apply = apply;
  }

  /** The configuration of this process with all known changes. @returns {AccessConfig} */
  get access() {
    const keys = merged(this.#own.keys, this.#changed);
    return { ...this.#own, ...(keys !== undefined && { keys }) };
  }

  /**
   * Replaces this process's own configuration.
   * @param {AccessConfig} own a checked configuration
   */
  replaceOwn(own) {
    this.#own = own;
  }

  /**
   * Reads the changes, and applies new ones.
   * @returns {Promise<AccessConfig>}
   * @throws {import('../internal/util/http-error.js').HttpError} 503
   */
  async read() {
    const { [VERSION]: version = '0', ...entries } = fieldsOf(
      await this.#redis.command('HGETALL', 'keys'),
    );
    if (Number(version) < Number(this.#version)) {
      await this.#restore(version);
    } else if (version !== this.#version) {
      this.#changed = new Map(
        Object.entries(entries).map(([id, json]) => [
          id,
          json === DELETED ? null : JSON.parse(json),
        ]),
      );
      this.#version = version;
      this.#apply(this.access);
    }
    const { access } = this;
    this.#versions.set(access, this.#version);
    return access;
  }

  /**
   * Writes the differences from the configuration that was read.
   * @param {AccessConfig} next `base` with other keys
   * @param {AccessConfig} base result of `read`
   * @returns {Promise<AccessConfig | false>} the configuration to apply; false: a key was changed after `base`
   *   was read, and nothing was written
   * @throws {import('../internal/util/http-error.js').HttpError} 503, 507
   */
  async write({ keys = [] }, base) {
    const expected = this.#versions.get(base) ?? '';
    const own = new Set((this.#own.keys ?? []).map(({ id }) => id));
    const before = new Map((base.keys ?? []).map((key) => [key.id, JSON.stringify(key)]));
    /** @type {string[]} */
    const changes = [];
    for (const key of keys) {
      const json = JSON.stringify(key);
      if (before.get(key.id) !== json) changes.push(key.id, json);
      before.delete(key.id);
    }
    for (const id of before.keys()) changes.push(id, own.has(id) ? DELETED : '');
    const args = [expected, expected, ...changes];
    const [word, version] = await this.#redis.run('keys/change', ['keys'], args);
    if (word !== 'OK') return false;
    // A message may have arrived before the answer, even with a later change.
    if (this.#version !== expected) return this.read();
    for (let i = 0; i < changes.length; i += 2) {
      const [id, json] = [changes[i], changes[i + 1]];
      if (json === '') this.#changed.delete(id);
      else this.#changed.set(id, json === DELETED ? null : JSON.parse(json));
    }
    this.#version = version;
    return this.access;
  }

  /**
   * Writes the changes again, so that a disabled key stays disabled. One process
   * is enough: the others then see a later version than their own.
   * @param {string} version version in Redis, which has lost later ones
   */
  async #restore(version) {
    const entries = [...this.#changed].flatMap(([id, key]) => [
      id,
      key === null ? DELETED : JSON.stringify(key),
    ]);
    const args = [version, this.#version, ...entries];
    const [word, next] = await this.#redis.run('keys/change', ['keys'], args);
    if (word === 'OK') this.#version = next;
  }

  async #look() {
    const version = await this.#redis.command('HGET', 'keys', VERSION).catch(() => undefined);
    if (version !== undefined && (version ?? '0') !== this.#version) await this.#follow();
  }

  /** Reads, and reads again if a key has changed meanwhile. */
  async #follow() {
    const before = this.#reading;
    const reading = (async () => {
      await before;
      await this.read().catch((/** @type {any} */ error) => {
        if (error.status === 503) return;
        this.#log.error({ reason: error.message }, 'keys in Redis cannot be used by this process');
      });
    })();
    this.#reading = reading;
    await reading;
  }
}
