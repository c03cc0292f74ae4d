/** The options of `redis` and their checks. Pure functions; loads no client. */
import { checkTable } from '../internal/util/option-table.js';
import { checkTls } from './connection/tls-options.js';
import { parseRedisUrl } from './connection/address.js';
import { rangeError, typeError } from '../internal/util/errors.js';

/** @typedef {import('../internal/util/option-table.js').OptionRow} OptionRow */

/** @type {readonly OptionRow[]} */
export const REDIS_OPTIONS = Object.freeze([
  {
    path: 'redis.url',
    type: 'string',
    takes: 'the URL of a Redis server',
    flag: 'redis',
    flagValue: 'URL',
    env: 'SLUICE_REDIS_URL',
    help: 'Redis server; all processes with the same server and prefix form one gateway',
    more: '`redis: url` is short for `redis: {url}`. See [scaling](scaling.md).',
  },
  {
    path: 'redis.prefix',
    type: 'string',
    takes: '1 to 64 of A-Z, a-z, 0-9, _, . and -',
    default: 'sluice',
    flag: 'redis-prefix',
    flagValue: 'NAME',
    help: 'prefix of all keys in Redis; deployments on the same server need different ones',
  },
  {
    path: 'redis.leaseMs',
    type: 'milliseconds',
    min: 1000,
    max: 600_000,
    default: 10_000,
    flag: 'lease-ms',
    help: 'silence after which a process counts as dead; must be equal in all processes of a deployment',
  },
  {
    path: 'redis.onProducerLost',
    type: 'choice',
    choices: ['fail', 'rerun'],
    default: 'fail',
    flag: 'on-producer-lost',
    help: 'when a process dies, its jobs with tokens fail or run again; jobs without tokens always run again',
  },
  {
    path: 'redis.commandTimeoutMs',
    type: 'milliseconds',
    min: 50,
    max: 60_000,
    default: 1000,
    help: 'time limit of a command to Redis',
  },
  {
    path: 'redis.flushMs',
    type: 'milliseconds',
    max: 1000,
    default: 10,
    help: 'minimum time between two writes of tokens to Redis',
  },
  {
    path: 'redis.waitReplicas',
    type: 'integer',
    unit: 'replicas',
    min: 0,
    max: 16,
    default: 0,
    help: 'replicas that must hold a permanent change before it is acknowledged',
    more: 'See [scaling](scaling.md#replicas).',
  },
  {
    path: 'redis.tls',
    type: 'other',
    jsType: "import('./connection/tls-options.js').RedisTls",
    takes: 'options of `tls.connect`',
    help: 'certificates and other options of TLS, for `rediss://`',
    more: 'See [scaling](scaling.md#tls).',
  },
]);

// types: RedisOptions
/**
 * @typedef {object} RedisOptions
 * @property {string} [url] Redis server; all processes with the same server and prefix form one gateway
 * @property {string} [prefix] prefix of all keys in Redis; deployments on the same server need different
 *   ones; default `sluice`
 * @property {number} [leaseMs] silence after which a process counts as dead; must be equal in all processes
 *   of a deployment; default 10000
 * @property {'fail' | 'rerun'} [onProducerLost] when a process dies, its jobs with tokens fail or run
 *   again; jobs without tokens always run again; default `fail`
 * @property {number} [commandTimeoutMs] time limit of a command to Redis; default 1000
 * @property {number} [flushMs] minimum time between two writes of tokens to Redis; default 10
 * @property {number} [waitReplicas] replicas that must hold a permanent change before it is acknowledged;
 *   default 0
 * @property {import('./connection/tls-options.js').RedisTls} [tls] certificates and other options of TLS,
 *   for `rediss://`
 */
// end of types

/**
 * @typedef {object} CheckedRedis
 * @property {string} url
 * @property {import('./connection/address.js').RedisAddress} address of the URL
 * @property {string} prefix
 * @property {number} leaseMs
 * @property {'fail' | 'rerun'} onProducerLost
 * @property {number} commandTimeoutMs
 * @property {number} flushMs
 * @property {number} waitReplicas
 * @property {import('./connection/tls-options.js').RedisTls} tls
 */

const PREFIX = /^[\w.-]{1,64}$/;

/**
 * @param {string} at name of the option as the caller wrote it
 * @param {string} prefix
 */
export function checkPrefix(at, prefix) {
  if (PREFIX.test(prefix)) return;
  throw rangeError(`${at} takes 1 to 64 of A-Z, a-z, 0-9, _, . and -`);
}

/**
 * @param {unknown} given the option `redis` of `createGateway`
 * @returns {CheckedRedis | undefined} undefined: the gateway runs without Redis
 * @throws {TypeError | RangeError} naming the option
 */
export function checkRedis(given) {
  if (given === undefined) return undefined;
  const redis = typeof given === 'string' ? { url: given } : given;
  if (typeof redis !== 'object' || redis === null) {
    throw typeError('redis takes a URL or an object with a url');
  }
  const checked = checkTable('createGateway', REDIS_OPTIONS, { redis }).redis;
  return { ...checked, ...checkServer('redis.', checked) };
}

/**
 * @param {string} at prefix of the option names in errors
 * @param {Record<string, any>} options with the types of their table
 * @returns {{address: import('./connection/address.js').RedisAddress, tls:
 *   import('./connection/tls-options.js').RedisTls}}
 * @throws {TypeError | RangeError} naming the option
 */
export function checkServer(at, { url, prefix, tls }) {
  if (url === undefined) throw typeError(`${at}url is required`);
  const address = parseRedisUrl(`${at}url`, url);
  checkPrefix(`${at}prefix`, prefix);
  if (tls !== undefined && !address.isEncrypted) {
    throw rangeError(`${at}tls goes with rediss:// or rediss-sentinel://`);
  }
  return { address, tls: checkTls(`${at}tls`, tls ?? {}) };
}
