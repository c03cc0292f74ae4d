/**
 * Path patterns of robots.txt (RFC 9309, sections 2.2.2 and 2.2.3): a pattern matches
 * each path of which it is a prefix; `*` stands for any characters, a `$` at the end for the end of
 * the path. The query belongs to the path.
 *
 * The cost of a check is a binary search among the patterns without wildcards, and a bounded number
 * of character comparisons for the patterns with wildcards.
 */

/**
 * Character comparisons that one check may cost, some 4 ms. Ten thousand characters of patterns
 * with wildcards stay within it for a URL of 400 characters.
 */
const COMPARISONS_MAX = 4_000_000;

/**
 * A pattern with wildcards: `prefix`, then each of `middle` in order, then `last` at the end.
 * @typedef {object} WildcardRule
 * @property {number} length octets of the pattern
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
 * themselves, other characters are percent-encoded in capitals. Delimiters without a meaning
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

/** Patterns without wildcards, sorted, so that the longest prefix of a path is found by bisection. */
class PrefixRules {
  /** @type {string[]} */
  #patterns;
  /** For each pattern, the index of the longest other pattern that is a prefix of it; -1: none. */
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
   * @returns {{length: number, allow: boolean} | undefined} the longest pattern that is a prefix of `path`
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
    return undefined;
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
  // The leftmost match of each piece leaves the most room for the next one.
  for (const piece of middle) {
    const found = path.indexOf(piece, at);
    cost += ((found < 0 ? path.length : found + 1) - at) * piece.length + 1;
    if (found < 0) return { matches: false, cost };
    at = found + piece.length;
  }
  const matches = last === undefined || (path.length - last.length >= at && path.endsWith(last));
  return { matches, cost };
}

/**
 * Patterns that allow or forbid. The longest pattern that matches a path decides; of
 * two with equal length, the one that allows.
 */
export class PathRules {
  /** @type {Map<string, boolean>} */
  #prefixes = new Map();
  /** Of patterns that end with `$` and have no other wildcard. @type {Map<string, boolean>} */
  #exact = new Map();
  /** @type {WildcardRule[]} */
  #wildcards = [];
  /** @type {PrefixRules | undefined} */
  #sorted;

  /**
   * @param {string} pattern one character per octet
   * @param {boolean} allow
   */
  add(pattern, allow) {
    this.#sorted = undefined;
    const anchored = pattern.endsWith('$');
    const body = normalized(anchored ? pattern.slice(0, -1) : pattern);
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

  /**
   * @param {string} url absolute
   * @returns {boolean | undefined} whether the deciding pattern allows; undefined: no pattern
   *   matches. Also false for a URL whose check would cost too many comparisons.
   */
  decide(url) {
    const path = pathOf(url);
    const sorted = this.sort();
    const exact = this.#exact.get(path);
    const best =
      exact === undefined ? sorted.longest(path) : { length: path.length + 1, allow: exact };
    let left = COMPARISONS_MAX;
    for (const rule of this.#wildcards) {
      if (best && (rule.length < best.length || (rule.length === best.length && best.allow))) break;
      const { matches, cost } = matchWildcards(rule, path);
      if (matches) return rule.allow;
      left -= cost;
      if (left < 0) return false;
    }
    return best?.allow;
  }

  /** Sorts the patterns. `decide()` also does this after patterns were added. */
  sort() {
    if (this.#sorted === undefined) {
      this.#wildcards.sort((a, b) => b.length - a.length || Number(b.allow) - Number(a.allow));
      this.#sorted = new PrefixRules(this.#prefixes);
    }
    return this.#sorted;
  }
}
