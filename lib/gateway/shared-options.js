/** Options that several processes on one Redis cannot share yet. Pure functions. */
import { findAccessProblem } from '../jobs/policy/config.js';
import { dotted, pointerTo } from '../internal/util/request-schema.js';
import { rangeError } from '../internal/util/errors.js';

/** @typedef {import('../jobs/policy/config.js').AccessConfig} AccessConfig */

/** @param {object | undefined} value */
const isEmpty = (value) => Object.keys(value ?? {}).length === 0;

/**
 * @param {AccessConfig} config checked
 * @returns {string[] | undefined} path of the first member that would count per process
 */
function findUnshared(config) {
  for (const name of /** @type {const} */ (['prices', 'accounts'])) {
    if (!isEmpty(config[name])) return [name];
  }
  return undefined;
}

const REASON = 'may not be set with redis: this version counts it per process';

/**
 * @param {any} config checked, an `AccessConfig` of a gateway with redis
 * @returns {string | undefined} what is wrong with it, for a file
 */
export function unsharedProblem(config) {
  const path = findUnshared(config);
  return path === undefined ? undefined : `${pointerTo(path)} ${REASON}`;
}

/**
 * @param {unknown} config of a gateway with redis. An invalid one passes: its own check refuses it
 * @throws {RangeError} naming the member that would count per process
 */
export function checkShared(config = {}) {
  if (findAccessProblem(config) !== undefined) return;
  const path = findUnshared(/** @type {AccessConfig} */ (config));
  if (path !== undefined) throw rangeError(`${dotted(['access', ...path])} ${REASON}`);
}
