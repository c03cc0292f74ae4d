import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { accessMembers } from '../../jobs/policy/config.js';
import { configInvalid, configNotWritable } from './errors.js';
import { isObject } from '../../internal/util/validate.js';
import { realPathOf } from '../../jobs/storage/paths.js';

/** @typedef {import('../../jobs/policy/config.js').AccessConfig} AccessConfig */
/** @typedef {Record<string, any>} Config */

const RANDOM_BYTES = 6;
const MODE_BITS = 0o777;

/**
 * @param {string} text
 * @returns {Config}
 * @throws {HttpError} 409
 */
function parse(text) {
  let config;
  try {
    config = JSON.parse(text);
  } catch {
    throw configInvalid('it is not JSON');
  }
  if (isObject(config)) return config;
  throw configInvalid('it does not hold a JSON object');
}

/**
 * @param {Config} config
 * @returns {AccessConfig} its members for access
 */
export function accessIn(config) {
  return Object.fromEntries(
    Object.entries(config).filter(([member]) => accessMembers.includes(member)),
  );
}

/**
 * @param {string} file
 * @returns {AccessConfig}
 * @throws {Error} naming the file
 */
export function readAccessSync(file) {
  try {
    return accessIn(parse(readFileSync(file, 'utf8')));
  } catch (/** @type {any} */ error) {
    throw new Error(`configFile ${file} cannot be read: ${error.message}`, { cause: error });
  }
}

/** The file of `sluice serve --config`. Replaced as a whole, so that a reader never sees half of it. */
export class ConfigFile {
  #path;

  /** @param {string} file may be a link */
  constructor(file) {
    this.#path = path.resolve(file);
  }

  /**
   * @returns {Promise<Config>} all members
   * @throws {HttpError} 409
   */
  async read() {
    let text;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (/** @type {any} */ error) {
      throw configInvalid(`it cannot be read (${error.code})`);
    }
    return parse(text);
  }

  /**
   * Replaces the file: after a crash it is the old one or the new one.
   * @param {Config} config
   * @returns {Promise<AccessConfig>} its members for access
   * @throws {HttpError} 409: the file is unchanged
   */
  async write(config) {
    // Keep a symbolic link: replace its target.
    const target = realPathOf(this.#path);
    const suffix = randomBytes(RANDOM_BYTES).toString('hex');
    const fresh = path.join(path.dirname(target), `.${path.basename(target)}.${suffix}`);
    try {
      const { mode, uid, gid } = await stat(target);
      await this.#create(fresh, `${JSON.stringify(config, null, 2)}\n`, { mode, uid, gid });
      await rename(fresh, target);
    } catch (error) {
      await rm(fresh, { force: true }).catch(() => {});
      throw configNotWritable(error);
    }
    await syncFolder(path.dirname(target));
    return accessIn(config);
  }

  /**
   * @param {string} file
   * @param {string} text
   * @param {{mode: number, uid: number, gid: number}} owner stats of the file to replace
   */
  async #create(file, text, { mode, uid, gid }) {
    const handle = await open(file, 'wx', mode & MODE_BITS);
    try {
      const own = await handle.stat();
      if (own.uid !== uid || own.gid !== gid) await handle.chown(uid, gid);
      // The umask has reduced the mode, and a change of the owner may have.
      await handle.chmod(mode & MODE_BITS);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

/** @param {string} folder whose new entry is to survive a power failure */
async function syncFolder(folder) {
  // Windows cannot open folders, and the file is already replaced.
  const handle = await open(folder, 'r').catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}
