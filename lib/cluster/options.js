/** The options of `redis` and their checks. Pure functions; loads no client. */
import { checkTable } from '../internal/util/option-table.js';
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
    help: 'Redis server; all processes with the same server and prefix are one gateway',
    more: '`redis: url` is short for `redis: {url}`. See [scaling](scaling.md).',
  },
  {
    path: 'redis.prefix',
    type: 'string',
    takes: '1 to 64 of A-Z, a-z, 0-9, _, . and -',
    default: 'sluice',
    flag: 'redis-prefix',
    flagValue: 'NAME',
    help: 'first part of all keys in Redis; deployments that share a server differ in it',
  },
  {
    path: 'redis.leaseMs',
    type: 'milliseconds',
    min: 1000,
    max: 600_000,
    default: 10_000,
    flag: 'lease-ms',
    help: 'silence after which a process counts as dead; the same for all processes of a deployment',
  },
  {
    path: 'redis.onProducerLost',
    type: 'choice',
    choices: ['fail', 'rerun'],
    default: 'fail',
    flag: 'on-producer-lost',
    help: 'what becomes of a job that has tokens when its process dies: it fails, or is run again',
  },
  {
    path: 'redis.commandTimeoutMs',
    type: 'milliseconds',
    min: 50,
    max: 60_000,
    default: 1000,
    help: 'how long a command waits for the answer of Redis',
  },
  {
    path: 'redis.flushMs',
    type: 'milliseconds',
    max: 1000,
    default: 10,
    help: 'shortest time between two writes of tokens to Redis',
  },
]);

// types: RedisOptions
/**
 * @typedef {object} RedisOptions
 * @property {string} [url] Redis server; all processes with the same server and prefix are one gateway
 * @property {string} [prefix] first part of all keys in Redis; deployments that share a server differ in
 *   it; default `sluice`
 * @property {number} [leaseMs] silence after which a process counts as dead; the same for all processes of
 *   a deployment; default 10000
 * @property {'fail' | 'rerun'} [onProducerLost] what becomes of a job that has tokens when its process
 *   dies: it fails, or is run again; default `fail`
 * @property {number} [commandTimeoutMs] how long a command waits for the answer of Redis; default 1000
 * @property {number} [flushMs] shortest time between two writes of tokens to Redis; default 10
 */
// end of types

/**
 * Where Redis is, as its URL says.
 * @typedef {object} RedisAddress
 * @property {string} host name or address, IPv6 without brackets
 * @property {number} port
 * @property {string} user empty: the default user
 * @property {string} password empty: none
 * @property {number} db
 * @property {string} shown the URL without its password, for messages
 */

/**
 * @typedef {object} CheckedRedis
 * @property {string} url
 * @property {RedisAddress} address of the URL
 * @property {string} prefix
 * @property {number} leaseMs
 * @property {'fail' | 'rerun'} onProducerLost
 * @property {number} commandTimeoutMs
 * @property {number} flushMs
 */

const FORM = 'redis://[user[:password]@]host[:port][/db]';
const PORT_DEFAULT = 6379;
const PREFIX = /^[\w.-]{1,64}$/;
/** Schemes that a later version will take. */
const LATER = new Set(['rediss:', 'redis-sentinel:']);

/**
 * @param {string} at name of the option as the caller wrote it
 * @param {string} text
 * @returns {RedisAddress}
 * @throws {RangeError} without the URL, which may hold a password
 */
export function parseRedisUrl(at, text) {
  const [scheme] = /^[a-z][a-z\d+.-]*:/i.exec(text) ?? [''];
  if (LATER.has(scheme.toLowerCase())) {
    throw rangeError(`${at} takes ${FORM}; ${scheme}// is not supported`);
  }
  if (scheme.toLowerCase() !== 'redis:' || !URL.canParse(text)) {
    throw rangeError(`${at} takes ${FORM}`);
  }
  const url = new URL(text);
  const { hostname, port, pathname, search, hash } = url;
  if (hostname === '' || port === '0') throw rangeError(`${at} takes ${FORM}`);
  if (search !== '' || hash !== '') {
    throw rangeError(`${at} takes ${FORM}, without parameters`);
  }
  if (!/^(\/\d{0,5})?$/.test(pathname)) {
    throw rangeError(`${at} takes ${FORM}; the db is a number`);
  }
  const [user, password, host] = [url.username, url.password, hostname].map((part) =>
    decoded(at, part),
  );
  const db = Number(pathname.slice(1));
  const who = user === '' ? '' : `${url.username}@`;
  return {
    ...{ user, password, db },
    host: host.replace(/^\[|\]$/g, ''),
    port: port === '' ? PORT_DEFAULT : Number(port),
    shown: `redis://${who}${url.host}${db === 0 ? '' : `/${db}`}`,
  };
}

/**
 * @param {string} at
 * @param {string} part
 */
function decoded(at, part) {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw Object.assign(rangeError(`${at} takes ${FORM}, percent-encoded`), { cause });
  }
}

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
 * @returns {CheckedRedis | undefined} undefined: the gateway is alone
 * @throws {TypeError | RangeError} naming the option
 */
export function checkRedis(given) {
  if (given === undefined) return undefined;
  const redis = typeof given === 'string' ? { url: given } : given;
  if (typeof redis !== 'object' || redis === null) {
    throw typeError('redis takes a URL or an object with a url');
  }
  const checked = checkTable('createGateway', REDIS_OPTIONS, { redis }).redis;
  if (checked.url === undefined) throw typeError('redis.url is required');
  const address = parseRedisUrl('redis.url', checked.url);
  checkPrefix('redis.prefix', checked.prefix);
  return { ...checked, address };
}
