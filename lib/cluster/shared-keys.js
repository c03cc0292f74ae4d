import { fieldsOf } from './client/scripts.js';

/** @typedef {import('../jobs/policy/config.js').AccessConfig} AccessConfig */
/** @typedef {import('../jobs/policy/config.js').KeyConfig} KeyConfig */

/** The field with the number of changes; no key has a space in its id. */
const VERSION = ' version';
/** Entry of a key of a file that was deleted over HTTP. */
const DELETED = '{"deleted":true}';
/** Beats between two looks for a change whose message was lost. */
const LOOK_EVERY = 10;

/**
 * @param {readonly KeyConfig[] | undefined} own of the file of this process
 * @param {ReadonlyMap<string, KeyConfig | null>} changed by id; null: deleted
 * @returns {KeyConfig[] | undefined} those of the file, as they were changed, then further ones by their ids;
 *   undefined: there is none, and never was
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
 * Changes of keys over HTTP, in Redis, for all processes of a deployment: hashes, limits and rights, never a
 * key. They go over the entries that a process has from its own file. Processes write them again when Redis has lost
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
  /** Versions of what `read` gave. @type {WeakMap<AccessConfig, string>} */
  #versions = new WeakMap();
  /** @type {(access: AccessConfig) => void} */
  #apply = () => {};
  #beats = 0;
  /** @type {Promise<void> | undefined} */
  #reading;

  /**
   * @param {object} deps
   * @param {import('./cluster.js').Cluster} deps.cluster
   * @param {AccessConfig} deps.own configuration of this process, without what is in Redis
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

  /** The configuration of this process with the changes that are known. @returns {AccessConfig} */
  get access() {
    const keys = merged(this.#own.keys, this.#changed);
    return { ...this.#own, ...(keys !== undefined && { keys }) };
  }

  /**
   * Replaces the configuration of this process itself.
   * @param {AccessConfig} own checked
   */
  replaceOwn(own) {
    this.#own = own;
  }

  /**
   * Reads the changes, and puts them in force if there are new ones.
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
   * Writes what differs from what was read.
   * @param {AccessConfig} next with the members of `base`, but its keys
   * @param {AccessConfig} base that `read` gave
   * @returns {Promise<AccessConfig | false>} what is to be in force; false: a key has been changed since `base`
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
    // A message may have been faster than the answer, and even brought a later change.
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
   * Writes the changes again, lest a key that was disabled is accepted again. The first process that does so
   * is enough: the others see a later version than their own.
   * @param {string} version of Redis, which has lost later ones
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

  /** Reads, and once more if something has changed meanwhile. */
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
