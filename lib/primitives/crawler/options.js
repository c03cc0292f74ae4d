/** Checks of the options of `crawl`, and their defaults. */
import dns from 'node:dns';
import { ManualClock } from '../../internal/time/clock.js';
import { rangeError, typeError } from '../../internal/util/errors.js';
import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkMs,
  checkNumber,
  checkOptions,
  checkSignal,
  checkString,
} from '../../internal/util/validate.js';
import { PathRules } from './path-rules.js';
import { URL_LENGTH_MAX, canonical } from './url.js';

/**
 * Options of `crawl`.
 * @typedef {object} CrawlOptions
 * @property {string} startUrl http or https, without credentials
 * @property {number} [limit] pages, 1 to 10,000; default 100. At most ten times as many URLs plus 100
 *   are considered, and at most 16 MiB of URLs
 * @property {number} [depth] links between the first page and the last, 0 to 1000; default 10
 * @property {number} [concurrency] requests at once, 1 to 64; default 4
 * @property {number} [perHostPerSecond] requests per second, evenly spaced, 0.01 to 1000; default 5. A
 *   host that is overloaded, or sets a `Crawl-delay` in its robots.txt, gets fewer
 * @property {number} [timeoutMs] for one page, from the connection to the last byte, 1 to 600,000;
 *   default 10,000
 * @property {boolean} [sitemaps] whether to read the sitemaps listed in robots.txt, or
 *   `/sitemap.xml` if it lists none; their pages have depth 0. Default false
 * @property {string[]} [include] patterns of the pages to fetch; default: all. At most 100, of 1024
 *   characters. Patterns have the syntax of robots.txt: a pattern begins with `/` or `*` and matches each path
 *   (with its query) of which it is a prefix; `*` stands for any characters, `$` at the end for the end.
 *   `startUrl` is fetched in any case
 * @property {string[]} [exclude] patterns of pages not to fetch, even if `include` matches them
 * @property {Record<string, string>} [headers] sent with each request, robots.txt included; at most 64,
 *   and 8192 characters. They are sent only to the site of `startUrl`. Not allowed: headers of the connection and
 *   of the body, `accept-encoding` and `user-agent`
 * @property {boolean} [allowPrivateAddresses] whether the crawl may connect to private, loopback,
 *   link-local and other non-public addresses; default false
 * @property {string} [userAgent] default `sluice/<version>`. The letters, `_` and `-` at its
 *   beginning are the name used in robots.txt
 * @property {number} [maxBodyBytes] of a page, unpacked, at most 64 MiB; larger ones are skipped;
 *   default 2 MiB
 * @property {import('./addresses.js').Lookup} [lookup] resolves names; default `dns.lookup`
 * @property {AbortSignal} [signal] ends the crawl
 * @property {import('../../internal/time/clock.js').ManualClock} [clock] default: the monotonic clock
 */

export const LIMITS = Object.freeze({
  limit: { min: 1, max: 10_000 },
  depth: { min: 0, max: 1000 },
  concurrency: { min: 1, max: 64 },
  perHostPerSecond: { min: 0.01, max: 1000 },
  timeoutMs: { min: 1, max: 600_000 },
});

const PATTERNS_MAX = 100;
const PATTERN_LENGTH_MAX = 1024;
const HEADERS_MAX = 64;
const HEADER_CHARS_MAX = 8192;

/** Headers that the crawler or the connection sets. */
const RESERVED_HEADERS = new Set(
  (
    'accept-encoding connection content-length expect host http2-settings keep-alive ' +
    'proxy-authorization proxy-connection te trailer transfer-encoding upgrade user-agent'
  ).split(' '),
);

const KNOWN = Object.freeze([
  ...Object.keys(LIMITS),
  'sitemaps',
  'include',
  'exclude',
  'headers',
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
  if (spelled.length > URL_LENGTH_MAX) {
    throw rangeError(`${takes} of at most ${URL_LENGTH_MAX} characters`);
  }
  return spelled;
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
 * @param {'include' | 'exclude'} name
 * @param {unknown} value
 * @returns {PathRules | undefined}
 */
function checkPatterns(name, value) {
  if (value === undefined) return undefined;
  const takes = `${name} takes an array of at most ${PATTERNS_MAX} patterns`;
  if (!Array.isArray(value)) throw typeError(takes);
  if (value.length > PATTERNS_MAX) throw rangeError(takes);
  const rules = new PathRules();
  value.forEach((given, i) => {
    const pattern = checkString(`${name}[${i}]`, given);
    if (!/^[/*]/.test(pattern) || pattern.length > PATTERN_LENGTH_MAX) {
      throw rangeError(
        `${name}[${i}] takes a pattern of at most ${PATTERN_LENGTH_MAX} characters that begins ` +
          'with / or *',
      );
    }
    rules.add(Buffer.from(pattern).toString('latin1'), true);
  });
  return rules;
}

/**
 * @param {unknown} include
 * @param {unknown} exclude
 * @returns {(url: string) => boolean} whether a page may be fetched
 */
function checkSelection(include, exclude) {
  const included = checkPatterns('include', include);
  const excluded = checkPatterns('exclude', exclude);
  // A URL whose check would cost too many comparisons counts as not allowed.
  return (url) =>
    (included === undefined || included.decide(url) === true) &&
    (excluded === undefined || excluded.decide(url) === undefined);
}

/**
 * @param {unknown} value
 * @returns {Record<string, string>} names in lower case
 */
function checkHeaders(value) {
  const entries = Object.entries(
    checkOptions('headers', /** @type {object | undefined} */ (value)),
  );
  if (entries.length > HEADERS_MAX) {
    throw rangeError(`headers takes at most ${HEADERS_MAX} headers`);
  }
  /** @type {Map<string, string>} */
  const headers = new Map();
  let chars = 0;
  for (const [name, given] of entries) {
    const lower = name.toLowerCase();
    // Quote the name: it may hold any character.
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
      throw rangeError(
        `headers takes names of HTTP headers, not ${JSON.stringify(name.slice(0, 80))}`,
      );
    }
    const at = `headers.${name.slice(0, 80)}`;
    if (RESERVED_HEADERS.has(lower)) throw rangeError(`${at} cannot be set`);
    if (headers.has(lower)) throw rangeError(`${at} is given twice`);
    const text = checkString(at, given);
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(text)) {
      throw rangeError(`${at} takes a value without control characters, in latin1`);
    }
    chars += name.length + text.length;
    headers.set(lower, text);
  }
  if (chars > HEADER_CHARS_MAX) {
    throw rangeError(`headers takes at most ${HEADER_CHARS_MAX} characters in all`);
  }
  return Object.fromEntries(headers);
}

/**
 * @param {CrawlOptions} options
 * @param {string} userAgent default of `userAgent`
 */
export function checkCrawlOptions(options, userAgent) {
  const given = checkOptions('crawl', options, KNOWN);
  const { clock } = given;
  if (clock !== undefined && !(clock instanceof ManualClock)) {
    throw typeError('clock takes a ManualClock');
  }
  return {
    startUrl: checkStartUrl(given.startUrl),
    limit: checkInteger('limit', given.limit, { ...LIMITS.limit, fallback: 100 }),
    depth: checkInteger('depth', given.depth, { ...LIMITS.depth, fallback: 10 }),
    concurrency: checkInteger('concurrency', given.concurrency, {
      ...LIMITS.concurrency,
      fallback: 4,
    }),
    perHostPerSecond: checkNumber(
      'perHostPerSecond',
      given.perHostPerSecond === undefined ? 5 : given.perHostPerSecond,
      {
        ...LIMITS.perHostPerSecond,
        unit: 'a number',
      },
    ),
    timeoutMs: checkMs('timeoutMs', given.timeoutMs, { ...LIMITS.timeoutMs, fallback: 10_000 }),
    sitemaps: checkBoolean('sitemaps', given.sitemaps, false),
    selects: checkSelection(given.include, given.exclude),
    headers: checkHeaders(given.headers),
    allowPrivateAddresses: checkBoolean(
      'allowPrivateAddresses',
      given.allowPrivateAddresses,
      false,
    ),
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
