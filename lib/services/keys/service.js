import { accessIn } from './config-file.js';
import { badRequest } from '../../internal/util/http-error.js';
import { findAccessProblem, keyChangeSchema, newKeySchema } from '../../jobs/policy/config.js';
import { configInvalid, keyExists, keyNotFound, keysReadOnly, lastAdminKey } from './errors.js';
import { dotted, pointerTo, schemaCheck } from '../../internal/util/request-schema.js';
import { isObject } from '../../internal/util/validate.js';
import { newKey, newKeyId } from '../../jobs/policy/new-key.js';
import { overloaded } from '../../jobs/errors.js';
import { schemaRefusal } from '../../jobs/request.js';

/** @typedef {import('../../jobs/policy/config.js').AccessConfig} AccessConfig */
/** @typedef {import('../../jobs/policy/config.js').KeyConfig} KeyConfig */
/** @typedef {import('../../jobs/policy/config.js').KeyInfo} KeyInfo */

/**
 * Storage of keys: the whole configuration; its other members stay unchanged.
 * @typedef {object} KeyStore
 * @property {() => Promise<Record<string, any>>} read
 * @property {(config: Record<string, any>, base: Record<string, any>) => Promise<AccessConfig | false>} write
 *   replaces `base` (a result of `read`) by `config`, completely or not at all; returns the configuration to apply;
 *   false: it has changed since it was read
 */

/** @typedef {KeyInfo & {key: string}} MadeKey `key`: shown only once */

const LIMIT_DEFAULT = 100;
/** Maximum attempts of a change while other processes change keys. */
const ATTEMPTS_MAX = 10;
const validateNew = schemaCheck(newKeySchema);
const validateChange = schemaCheck(keyChangeSchema);
const validateRotation = schemaCheck({
  type: 'object',
  additionalProperties: false,
  properties: { keep_old: { type: 'boolean' } },
});

/**
 * JSON Merge Patch (RFC 7396).
 * @param {any} target
 * @param {any} patch
 * @returns {any} `target` with the members of `patch`, without members that are null in `patch`
 */
function mergePatch(target, patch) {
  if (!isObject(patch)) return patch;
  const merged = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [member, value] of Object.entries(patch)) {
    if (value === null) merged.delete(member);
    else merged.set(member, mergePatch(merged.get(member), value));
  }
  return Object.fromEntries(merged);
}

/** @param {KeyConfig} key */
const isAdmin = ({ admin, disabled }) => admin === true && disabled !== true;

/**
 * Keys of a gateway: lists, creates, changes, rotates, disables and deletes them. A change is written to the
 * store first, then put in force. Changes are made one after the other. Main thread; lives as long as its
 * gateway.
 */
export class Keys {
  #access;
  #store;
  #hasHook;
  #apply;
  /** @type {Promise<unknown>} settles with the last change */
  #last = Promise.resolve();

  /**
   * @param {object} deps
   * @param {import('../../jobs/policy/access-control.js').AccessControl} deps.access
   * @param {KeyStore} [deps.store] undefined: keys are read-only
   * @param {boolean} deps.hasHook whether a hook, not a key, determines administrators
   * @param {(access: AccessConfig) => void} deps.apply applies a configuration
   */
  constructor({ access, store, hasHook, apply }) {
    this.#access = access;
    this.#store = store;
    this.#hasHook = hasHook;
    this.#apply = apply;
  }

  /** Whether changes are possible, by the current knowledge. */
  get writable() {
    return this.#store !== undefined;
  }

  /** Whether callers need a key. */
  get required() {
    return this.#access.keyed;
  }

  /**
   * A page in the order of the configuration.
   * @param {{limit?: number, after?: string}} [query] `after`: id of the last key of the previous page
   * @returns {{data: Readonly<KeyInfo>[], hasMore: boolean}}
   * @throws {import('../../internal/util/http-error.js').HttpError} 400 when `after` is unknown
   */
  list({ limit = LIMIT_DEFAULT, after } = {}) {
    const all = [...this.#access.keys.values()];
    const start = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1;
    if (after !== undefined && start === 0) {
      throw badRequest('invalid_value', 'after', 'after must be the id of a key.');
    }
    return { data: all.slice(start, start + limit), hasMore: all.length > start + limit };
  }

  /**
   * @param {unknown} request members of a `KeyConfig` without `sha256`; default of `id`: random
   * @returns {Promise<MadeKey>}
   * @throws {import('../../internal/util/http-error.js').HttpError} 400; 409 `key_exists`, `last_admin_key`;
   *   see also `#change`
   */
  async create(request) {
    if (!validateNew(request)) throw schemaRefusal(/** @type {any} */ (validateNew.errors)[0]);
    const { id = newKeyId(), ...members } = /** @type {Partial<KeyConfig>} */ (request);
    const { key, sha256 } = newKey();
    await this.#change((keys) => {
      if (keys.some((each) => each.id === id)) throw keyExists();
      keys.push({ id, sha256, ...members });
    });
    return this.#made(id, key);
  }

  /**
   * Creates a second key with the same id and rights.
   * @param {string} id
   * @param {unknown} [request] `keep_old`: whether the newest of the earlier keys stays valid, until the
   *   next rotation or `retire`; default true
   * @returns {Promise<MadeKey>}
   * @throws {import('../../internal/util/http-error.js').HttpError} 404; see also `#change`
   */
  async rotate(id, request = {}) {
    if (!validateRotation(request)) {
      throw schemaRefusal(/** @type {any} */ (validateRotation.errors)[0]);
    }
    const { keep_old: keepOld = true } = /** @type {{keep_old?: boolean}} */ (request);
    const { key, sha256 } = newKey();
    await this.#changeOne(id, (entry) => {
      const newest = /** @type {string} */ ([entry.sha256].flat().at(-1));
      entry.sha256 = keepOld ? [newest, sha256] : sha256;
    });
    return this.#made(id, key);
  }

  /**
   * Ends a rotation: only the newest key stays valid.
   * @param {string} id
   * @returns {Promise<KeyInfo>}
   * @throws {import('../../internal/util/http-error.js').HttpError} see `rotate`
   */
  retire(id) {
    return this.#changeOne(id, (entry) => {
      entry.sha256 = /** @type {string} */ ([entry.sha256].flat().at(-1));
    });
  }

  /**
   * Changes members of a key: limits, models, rights, organisation, account. Its hashes stay.
   * @param {string} id
   * @param {unknown} patch see `keyChangeSchema`
   * @returns {Promise<KeyInfo>}
   * @throws {import('../../internal/util/http-error.js').HttpError} 400; 409 `last_admin_key`; see also `rotate`
   */
  update(id, patch) {
    if (!validateChange(patch)) throw schemaRefusal(/** @type {any} */ (validateChange.errors)[0]);
    return this.#changeOne(id, (entry) => {
      const merged = mergePatch(entry, patch);
      for (const member of Object.keys(entry)) {
        if (!Object.hasOwn(merged, member)) delete (/** @type {any} */ (entry)[member]);
      }
      Object.assign(entry, merged);
    });
  }

  /**
   * @param {string} id
   * @param {boolean} disabled
   * @returns {Promise<KeyInfo>}
   * @throws {import('../../internal/util/http-error.js').HttpError} 409 `last_admin_key`, see also `rotate`
   */
  setDisabled(id, disabled) {
    return this.#changeOne(id, (entry) => {
      if (disabled) entry.disabled = true;
      else delete entry.disabled;
    });
  }

  /**
   * @param {string} id
   * @throws {import('../../internal/util/http-error.js').HttpError} see `setDisabled`
   */
  async delete(id) {
    await this.#change((keys) => {
      const at = keys.findIndex((each) => each.id === id);
      if (at < 0) throw keyNotFound();
      keys.splice(at, 1);
    });
  }

  /**
   * @param {string} id
   * @param {string} key
   * @returns {MadeKey}
   */
  #made(id, key) {
    return { .../** @type {KeyInfo} */ (this.#access.keys.get(id)), key };
  }

  /**
   * @param {string} id
   * @param {(entry: KeyConfig) => void} change
   * @returns {Promise<KeyInfo>}
   */
  async #changeOne(id, change) {
    await this.#change((keys) => {
      const entry = keys.find((each) => each.id === id);
      if (entry === undefined) throw keyNotFound();
      change(entry);
    });
    return /** @type {KeyInfo} */ (this.#access.keys.get(id));
  }

  /**
   * @param {(keys: KeyConfig[]) => void} change may throw
   * @throws {import('../../internal/util/http-error.js').HttpError} 501 `keys_read_only`; 409
   *   `config_invalid`, `config_not_writable`, `last_admin_key`; 503 and 507 from Redis; the keys are unchanged
   *   then
   */
  async #change(change) {
    const store = this.#store;
    if (store === undefined) throw keysReadOnly();
    const changed = this.#last.then(() => this.#attempt(store, change));
    this.#last = changed.catch(() => {});
    await changed;
  }

  /**
   * @param {KeyStore} store
   * @param {(keys: KeyConfig[]) => void} change
   */
  async #attempt(store, change) {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      if (await this.#replace(store, change)) return;
    }
    throw overloaded();
  }

  /**
   * @param {KeyStore} store
   * @param {(keys: KeyConfig[]) => void} change
   * @returns {Promise<boolean>} false: another process made a change first
   */
  async #replace(store, change) {
    const config = await store.read();
    const problem = findAccessProblem(accessIn(config));
    if (problem !== undefined) throw configInvalid(`${pointerTo(problem.path)} ${problem.says}`);
    /** @type {KeyConfig[]} */
    const keys = structuredClone(config.keys ?? []);
    const hadAdmin = keys.some(isAdmin);
    change(keys);
    this.#checkAdmins(keys, hadAdmin || config.keys === undefined);
    const next = { ...config, keys };
    const access = accessIn(next);
    const wrong = findAccessProblem(access);
    // Only the new entry of the file is unchecked.
    if (wrong !== undefined) {
      const param = dotted(wrong.path.slice(2));
      throw badRequest('invalid_value', param, `${param} ${wrong.says}.`);
    }
    const inForce = await store.write(next, config);
    if (inForce === false) return false;
    this.#apply(inForce);
    return true;
  }

  /**
   * @param {KeyConfig[]} keys
   * @param {boolean} hadAdmin whether there is an administrator before the change
   */
  #checkAdmins(keys, hadAdmin) {
    if (hadAdmin && !this.#hasHook && !keys.some(isAdmin)) throw lastAdminKey();
  }
}
