/**
 * Parser and matcher for robots.txt (RFC 9309).
 *
 * The cost of parsing grows with the length of the file, whatever it holds. One check of a URL
 * costs a binary search among the rules without wildcards, and a bounded number of character
 * comparisons for the rules with wildcards.
 */
import { nextTurn } from './turns.js';

/** Octets read before other events get a turn. */
const SLICE_LENGTH = 32 * 1024;

/** More `Sitemap` lines than this are ignored. */
const SITEMAPS_MAX = 100;
const CRAWL_DELAY_S_MAX = 30;

/**
 * Character comparisons that one check may cost, some 4 ms. Ten thousand characters of rules with
 * wildcards stay within it for a URL of 400 characters.
 */
const COMPARISONS_MAX = 4_000_000;

/**
 * What a robots.txt says to one crawler.
 * @typedef {object} RobotsRules
 * @property {(url: string) => boolean} allows whether the crawler may request this absolute URL.
 *   False, too, for a URL whose check would cost too many comparisons.
 * @property {number} delayMs the least time between two requests (`Crawl-delay`), 0 to 30,000 ms
 * @property {string[]} sitemaps values of the `Sitemap` lines, in order, as written; at most 100
 */

/**
 * A rule with wildcards: `prefix`, then each of `middle` in order, then `last` at the end.
 * @typedef {object} WildcardRule
 * @property {number} length octets of the pattern: the longest matching rule decides
 * @property {boolean} allow
 * @property {string} prefix
 * @property {string[]} middle
 * @property {string | undefined} last undefined: the pattern is not anchored by `$`
 */

/** Characters that stand for themselves: unreserved and reserved ones, less `$`, and `%XX`. */
const OTHER = /%(?:[0-9a-f]{2})?|[^\w\-.~:/?#[\]@!&'()*+,;=]/gi;
const GENERAL_DELIMITER = /[:?#[\]@]/;
const UNRESERVED = /[\w\-.~]/;

const ESCAPES = Array.from(
  { length: 256 },
  (_, octet) => `%${octet.toString(16).toUpperCase().padStart(2, '0')}`,
);

/**
 * One spelling for equal paths (RFC 9309, section 2.2.2): unreserved characters stand for
 * themselves, other characters are percent-encoded in capitals. The delimiters that mean nothing
 * at their place (`:` and `@` anywhere; `/` and `?` in a query) equal their percent-encoding.
 * @param {string} path one character per octet
 * @returns {string}
 */
function normalized(path) {
  let queryAt = path.indexOf('?');
  if (queryAt < 0) queryAt = path.length;
  return path.replace(OTHER, (found, /** @type {number} */ at) => {
    const octet = found.length === 3 ? parseInt(found.slice(1), 16) : found.charCodeAt(0);
    const char = String.fromCharCode(octet);
    const inQuery = at > queryAt;
    const plain =
      found.length === 3 &&
      (UNRESERVED.test(char) ||
        (char === '/' && inQuery) ||
        (GENERAL_DELIMITER.test(char) && (char !== '?' || inQuery) && char !== '#'));
    return plain ? char : ESCAPES[octet];
  });
}

/**
 * @param {string} url absolute
 * @returns {string} its path and query in the spelling of the rules; a wildcard character in it
 *   stands for itself
 */
function pathOf(url) {
  const { pathname, search } = new URL(url);
  return normalized(pathname + search).replaceAll('*', '%2A');
}

/** Rules without wildcards, sorted, so that the longest prefix of a path is found by bisection. */
class PrefixRules {
  /** @type {string[]} */
  #patterns;
  /** For each pattern, the index of the longest other one that it begins with; -1: none. */
  #parents;
  #allowed;

  /** @param {Map<string, boolean>} rules pattern -> allow */
  constructor(rules) {
    this.#allowed = rules;
    this.#patterns = [...rules.keys()].sort();
    this.#parents = new Int32Array(this.#patterns.length);
    /** @type {number[]} */
    const open = [];
    this.#patterns.forEach((pattern, i) => {
      while (open.length > 0 && !pattern.startsWith(this.#patterns[open[open.length - 1]])) {
        open.pop();
      }
      this.#parents[i] = open[open.length - 1] ?? -1;
      open.push(i);
    });
  }

  /**
   * @param {string} path
   * @returns {{length: number, allow: boolean}} the longest rule that `path` begins with; a rule of
   *   length 0 that allows when there is none
   */
  longest(path) {
    let low = 0;
    let high = this.#patterns.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#patterns[middle] <= path) low = middle + 1;
      else high = middle;
    }
    // Every prefix of `path` is the last pattern not above it, or one that this pattern begins with.
    for (let i = low - 1; i >= 0; i = this.#parents[i]) {
      const pattern = this.#patterns[i];
      if (path.startsWith(pattern)) {
        return { length: pattern.length, allow: this.#allowed.get(pattern) === true };
      }
    }
    return { length: 0, allow: true };
  }
}

/**
 * @param {WildcardRule} rule
 * @param {string} path
 * @returns {{matches: boolean, cost: number}} `cost`: an upper bound of the comparisons made
 */
function matchWildcards({ prefix, middle, last }, path) {
  let cost = 1;
  if (!path.startsWith(prefix)) return { matches: false, cost };
  let at = prefix.length;
  // The leftmost place of each piece leaves most room for the next one.
  for (const piece of middle) {
    const found = path.indexOf(piece, at);
    cost += ((found < 0 ? path.length : found + 1) - at) * piece.length + 1;
    if (found < 0) return { matches: false, cost };
    at = found + piece.length;
  }
  const matches = last === undefined || (path.length - last.length >= at && path.endsWith(last));
  return { matches, cost };
}

/** The rules of one group, as they are collected and as they are matched. */
class Group {
  delayS = 0;
  /** @type {Map<string, boolean>} */
  #prefixes = new Map();
  /** Of patterns that end with `$` and have no other wildcard. @type {Map<string, boolean>} */
  #exact = new Map();
  /** @type {WildcardRule[]} */
  #wildcards = [];
  /** @type {PrefixRules | undefined} */
  #sorted;

  /**
   * @param {string} body the pattern, normalized, without a `$` at its end
   * @param {boolean} anchored whether it ends with `$`
   * @param {boolean} allow of two rules with the same pattern, the one that allows wins
   */
  add(body, anchored, allow) {
    const pieces = body.split(/\*+/);
    if (pieces.length === 1) {
      const rules = anchored ? this.#exact : this.#prefixes;
      rules.set(body, allow || rules.get(body) === true);
      return;
    }
    const [prefix, ...middle] = pieces;
    const last = anchored ? middle.pop() : undefined;
    this.#wildcards.push({
      length: body.length + (anchored ? 1 : 0),
      allow,
      prefix,
      middle: middle.filter((piece) => piece !== ''),
      last,
    });
  }

  /** Ends the collection of rules. */
  seal() {
    this.#sorted = new PrefixRules(this.#prefixes);
    this.#wildcards.sort((a, b) => b.length - a.length || Number(b.allow) - Number(a.allow));
  }

  /** @param {string} path normalized */
  allows(path) {
    const exact = this.#exact.get(path);
    const best =
      exact === undefined
        ? /** @type {PrefixRules} */ (this.#sorted).longest(path)
        : { length: path.length + 1, allow: exact };
    let left = COMPARISONS_MAX;
    for (const rule of this.#wildcards) {
      // The longest rule decides; of two as long, the one that allows.
      if (rule.length < best.length || (rule.length === best.length && best.allow)) break;
      const { matches, cost } = matchWildcards(rule, path);
      if (matches) return rule.allow;
      left -= cost;
      if (left < 0) return false;
    }
    return best.allow;
  }
}

/**
 * Without the spaces and tabs around it. `trim()` would take octets that belong to characters, too.
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
 * @returns {string} the product token in lower case; '*' for everybody; '' for no token
 */
function productOf(value) {
  if (/^\*(\s|$)/.test(value)) return '*';
  return /^[a-z_-]*/i.exec(value)?.[0].toLowerCase() ?? '';
}

/** Collects what the lines of a robots.txt say to one crawler. */
class RobotsParser {
  /** @type {string[]} */
  sitemaps = [];
  #product;
  /** Those that may hold for this crawler, by product token. @type {Map<string, Group>} */
  #groups = new Map();
  /** Those that the rules to come belong to. @type {Set<Group>} */
  #current = new Set();
  #ruled = true; // A rule has come since the last User-agent line.

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
    const spelled = normalized(pattern.endsWith('$') ? pattern.slice(0, -1) : pattern);
    for (const group of this.#current) group.add(spelled, pattern.endsWith('$'), allow);
  }

  /** @param {number} seconds */
  #delay(seconds) {
    if (seconds > 0) for (const group of this.#current) group.delayS = seconds;
  }

  /** @returns {Group} the one that holds for this crawler */
  group() {
    return this.#groups.get(this.#product) ?? this.#groups.get('*') ?? new Group();
  }
}

/**
 * Reads a robots.txt as one crawler has to. A group lasts from its first `User-agent` line to the
 * first `User-agent` line after an `Allow` or `Disallow`; no other record ends it. All groups that
 * name the crawler count as one; without any, the groups of `*` count. `Crawl-delay` holds for the
 * agents that the group has named so far.
 * @param {Uint8Array | string} content
 * @param {string} userAgent its product token is what stands before the first character that is
 *   not a letter, `_` or `-`; without one, the rules for `*` hold
 * @returns {Promise<RobotsRules>}
 */
export async function parseRobots(content, userAgent) {
  // One character per octet: paths are compared octet by octet, whatever their encoding.
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
  const group = parser.group();
  group.seal();
  return {
    allows: (url) => group.allows(pathOf(url)),
    delayMs: Math.min(group.delayS, CRAWL_DELAY_S_MAX) * 1000,
    sitemaps: parser.sitemaps,
  };
}
