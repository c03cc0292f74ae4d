/** The options of `crawl`, checked and filled in. */
import dns from 'node:dns';
import { ManualClock } from '../../internal/time/clock.js';
import { rangeError, typeError } from '../../internal/util/errors.js';
import {
  checkFunction,
  checkInteger,
  checkMs,
  checkOptions,
  checkSignal,
  checkString,
} from '../../internal/util/validate.js';
import { canonical, kUrlLengthMax } from './url.js';

/**
 * @typedef {object} CrawlOptions
 * @property {string} startUrl http or https, without credentials
 * @property {number} [limit] pages; default 100. Ten times as many URLs are looked at, and some
 * @property {number} [depth] links between the first page and the last; default 10
 * @property {number} [concurrency] requests at once; default 4
 * @property {number} [perHostPerSecond] requests, evenly spaced; default 5. A host that is
 *   overloaded, or asks for it in its robots.txt, gets fewer
 * @property {number} [timeoutMs] for one page, from the connection to the last byte; default 10000
 * @property {boolean} [allowPrivateAddresses] lets the crawl connect to private, loopback,
 *   link-local and all other addresses; default false
 * @property {string} [userAgent] default `sluice/<version>`. What stands before the first `/` is
 *   the name that robots.txt goes by
 * @property {number} [maxBodyBytes] of a page, unpacked; larger ones are skipped; default 2 MiB
 * @property {import('./addresses.js').Lookup} [lookup] resolves names, as `dns.lookup`, the default
 * @property {AbortSignal} [signal] ends the crawl
 * @property {import('../../internal/time/clock.js').ManualClock} [clock] default: the monotonic clock
 */

export const kLimits = Object.freeze({
  limit: { min: 1, max: 10_000 },
  depth: { min: 0, max: 1000 },
  concurrency: { min: 1, max: 64 },
  perHostPerSecond: { min: 0.01, max: 1000 },
  timeoutMs: { min: 1, max: 600_000 },
});

const known = new Set([
  ...Object.keys(kLimits),
  'startUrl',
  'allowPrivateAddresses',
  'userAgent',
  'maxBodyBytes',
  'lookup',
  'signal',
  'clock',
]);

/**
 * @param {unknown} value
 * @returns {string}
 */
function checkStartUrl(value) {
  const text = checkString('startUrl', value);
  const takes = 'startUrl takes an http or https URL';
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) throw rangeError(takes);
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    throw rangeError(`${takes} without a user name or password`);
  }
  const spelled = canonical(url);
  if (spelled.length > kUrlLengthMax) {
    throw rangeError(`${takes} of at most ${kUrlLengthMax} characters`);
  }
  return spelled;
}

/**
 * @param {unknown} value
 * @returns {number}
 */
function checkRate(value) {
  const { min, max } = kLimits.perHostPerSecond;
  const takes = `perHostPerSecond takes a number from ${min} to ${max}`;
  if (value === undefined) return 5;
  if (typeof value !== 'number') throw typeError(takes);
  if (!(value >= min && value <= max)) throw rangeError(takes);
  return value;
}

/**
 * @param {unknown} value
 * @param {string} fallback
 */
function checkUserAgent(value, fallback) {
  if (value === undefined) return fallback;
  const text = checkString('userAgent', value);
  if (!/^[\x21-\x7e][\x20-\x7e]{0,255}$/.test(text)) {
    throw rangeError('userAgent takes 1 to 256 printable ASCII characters');
  }
  return text;
}

/**
 * @param {CrawlOptions} options
 * @param {string} userAgent the default one
 */
export function checkCrawlOptions(options, userAgent) {
  const given = checkOptions('options', options);
  for (const name of Object.keys(given)) {
    if (!known.has(name)) {
      throw typeError(`crawl has no option ${name}; it takes ${[...known].join(', ')}`);
    }
  }
  const { allowPrivateAddresses = false, clock } = given;
  if (typeof allowPrivateAddresses !== 'boolean') {
    throw typeError('allowPrivateAddresses takes a boolean');
  }
  if (clock !== undefined && !(clock instanceof ManualClock)) {
    throw typeError('clock takes a ManualClock');
  }
  return {
    startUrl: checkStartUrl(given.startUrl),
    limit: checkInteger('limit', given.limit, { ...kLimits.limit, fallback: 100 }),
    depth: checkInteger('depth', given.depth, { ...kLimits.depth, fallback: 10 }),
    concurrency: checkInteger('concurrency', given.concurrency, {
      ...kLimits.concurrency,
      fallback: 4,
    }),
    perHostPerSecond: checkRate(given.perHostPerSecond),
    timeoutMs: checkMs('timeoutMs', given.timeoutMs, { ...kLimits.timeoutMs, fallback: 10_000 }),
    allowPrivateAddresses,
    userAgent: checkUserAgent(given.userAgent, userAgent),
    maxBodyBytes: checkInteger('maxBodyBytes', given.maxBodyBytes, {
      max: 64 * 1024 * 1024,
      fallback: 2 * 1024 * 1024,
    }),
    lookup:
      given.lookup === undefined
        ? /** @type {import('./addresses.js').Lookup} */ (/** @type {unknown} */ (dns.lookup))
        : /** @type {import('./addresses.js').Lookup} */ (checkFunction('lookup', given.lookup)),
    signal: checkSignal('signal', given.signal),
    clock,
  };
}
