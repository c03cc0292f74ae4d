/**
 * Parser for robots.txt (RFC 9309). Its cost depends only on the length of the file.
 */
import { PathRules } from './path-rules.js';
import { nextTurn } from './turns.js';

/** Octets read before other events get a turn. */
const SLICE_LENGTH = 32 * 1024;

/** More `Sitemap` lines than this are ignored. */
const SITEMAPS_MAX = 100;
const CRAWL_DELAY_S_MAX = 30;

/**
 * The rules of a robots.txt for one crawler.
 * @typedef {object} RobotsRules
 * @property {(url: string) => boolean} allows whether the crawler may request this absolute URL.
 *   Also false for a URL whose check would cost too many comparisons.
 * @property {number} delayMs minimum time between two requests (`Crawl-delay`), 0 to 30,000 ms
 * @property {string[]} sitemaps values of the `Sitemap` lines, in order, as written; at most 100
 */

/**
 * Without the spaces and tabs around it. `trim()` would also remove octets that belong to characters.
 * @param {string} text
 */
function stripped(text) {
  const isBlank = (/** @type {number} */ at) => text[at] === ' ' || text[at] === '\t';
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(start)) start += 1;
  while (end > start && isBlank(end - 1)) end -= 1;
  return text.slice(start, end);
}

/**
 * @param {string} value of a `User-agent` line, or of the header
 * @returns {string} the product token in lower case; '*': all crawlers; '': no token
 */
function productOf(value) {
  if (/^\*(\s|$)/.test(value)) return '*';
  return /^[a-z_-]*/i.exec(value)?.[0].toLowerCase() ?? '';
}

/** The rules of one user agent. */
class Group {
  delayS = 0;
  rules = new PathRules();
}

/** Collects the rules of a robots.txt for one crawler. */
class RobotsParser {
  /** @type {string[]} */
  sitemaps = [];
  #product;
  /** Groups that may apply to this crawler, by product token. @type {Map<string, Group>} */
  #groups = new Map();
  /** Groups to which the next rules belong. @type {Set<Group>} */
  #current = new Set();
  #ruled = true; // A rule followed the last User-agent line.

  /** @param {string} product */
  constructor(product) {
    this.#product = product;
  }

  /** @param {string} line */
  read(line) {
    const comment = line.indexOf('#');
    const record = comment < 0 ? line : line.slice(0, comment);
    const colon = record.indexOf(':');
    if (colon < 0) return;
    const name = stripped(record.slice(0, colon)).toLowerCase();
    const value = stripped(record.slice(colon + 1));
    if (name === 'user-agent') this.#name(productOf(value));
    else if (name === 'allow' || name === 'disallow') this.#rule(value, name === 'allow');
    else if (name === 'crawl-delay') this.#delay(value === '' ? NaN : Number(value));
    else if (name === 'sitemap' && this.sitemaps.length < SITEMAPS_MAX) {
      this.sitemaps.push(Buffer.from(value, 'latin1').toString());
    }
  }

  /** @param {string} product */
  #name(product) {
    if (this.#ruled) this.#current.clear();
    this.#ruled = false;
    if (product !== '*' && (product === '' || product !== this.#product)) return;
    const group = this.#groups.get(product) ?? new Group();
    this.#groups.set(product, group);
    this.#current.add(group);
  }

  /**
   * @param {string} pattern
   * @param {boolean} allow
   */
  #rule(pattern, allow) {
    this.#ruled = true;
    if (this.#current.size === 0 || !/^[/*]/.test(pattern)) return;
    for (const { rules } of this.#current) rules.add(pattern, allow);
  }

  /** @param {number} seconds */
  #delay(seconds) {
    if (seconds > 0) for (const group of this.#current) group.delayS = seconds;
  }

  /** @returns {Group} the group that applies to this crawler */
  group() {
    return this.#groups.get(this.#product) ?? this.#groups.get('*') ?? new Group();
  }
}

/**
 * Parses a robots.txt for one crawler. A group lasts from its first `User-agent` line to the
 * first `User-agent` line after an `Allow` or `Disallow`; no other record ends it. All groups that
 * name the crawler are merged; if there are none, the groups of `*` apply. `Crawl-delay` applies to the
 * agents named by the group so far.
 * @param {Uint8Array | string} content
 * @param {string} userAgent its product token ends at the first character that is
 *   not a letter, `_` or `-`; without a token, the rules for `*` apply
 * @returns {Promise<RobotsRules>}
 */
export async function parseRobots(content, userAgent) {
  const pause = () => (content.length > SLICE_LENGTH ? nextTurn() : undefined);
  await pause();
  // One character per octet: paths are compared octet by octet, independent of their encoding.
  const text = Buffer.from(/** @type {any} */ (content))
    .toString('latin1')
    .replace(/^\xef\xbb\xbf/, '');
  const parser = new RobotsParser(productOf(userAgent));
  let left = SLICE_LENGTH;
  for (const line of text.split(/[\r\n]+/)) {
    parser.read(line);
    left -= line.length + 1;
    if (left > 0) continue;
    left = SLICE_LENGTH;
    await nextTurn();
  }
  await pause();
  const { rules, delayS } = parser.group();
  rules.sort();
  return {
    allows: (url) => rules.decide(url) ?? true,
    delayMs: Math.min(delayS, CRAWL_DELAY_S_MAX) * 1000,
    sitemaps: parser.sitemaps,
  };
}

/**
 * @param {string} directives of a robots meta element or an X-Robots-Tag header
 * @returns {boolean} whether they forbid to follow the links of the page
 */
export function forbidsFollowing(directives) {
  const names = directives.toLowerCase().split(/[\s,]+/);
  return names.includes('nofollow') || names.includes('none');
}
