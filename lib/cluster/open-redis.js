/** `openRedis(options)`. What it needs is loaded by its first call. */
import { lateModule } from '../internal/util/packages.js';

/** @typedef {import('./shared-redis.js').OpenRedisOptions} OpenRedisOptions */
/** @typedef {import('./shared-redis.js').SharedRedis} SharedRedis */

/** @type {() => typeof import('./shared-redis.js')} */
const sharedRedis = lateModule(import.meta.url, (require) => require('./shared-redis.js'));

/**
 * Connects to a Redis server that holds the state of building blocks: key-value stores, ledgers and quotas.
 * @param {OpenRedisOptions} options
 * @returns {Promise<SharedRedis>}
 * @throws {import('../internal/util/errors.js').SluiceError} `ERR_REDIS_UNREACHABLE` after 2 s without an answer;
 *   `ERR_REDIS_AUTHENTICATION`, `ERR_REDIS_PERMISSION`, `ERR_REDIS_VERSION` (before 6.2), `ERR_REDIS_SCHEMA` (data
 *   of a newer version of this package), `ERR_REDIS_CLUSTER`. Messages show the URL without its password
 */
export async function openRedis(options) {
  return sharedRedis().connect(options);
}
