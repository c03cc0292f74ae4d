/**
 * @template T
 * @typedef {object} Served a model served by one upstream
 * @property {T} upstream
 * @property {string} model the upstream's name of the model
 * @property {number} rank lower is preferred: an exact name, an alias, then longer patterns
 */

const EXACT = 0;
const ALIAS = 1;
/** More than the length of any pattern. */
const PATTERN_BASE = 2 ** 20;

/** @param {string} pattern `*` stands for any characters */
function toRegExp(pattern) {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('[^]*')}$`);
}

/**
 * The models of several upstreams. Immutable.
 * @template T
 */
export class ModelTable {
  /** @type {Map<string, Served<T>[]>} by exact names and aliases */
  #named = new Map();
  /** @type {{matches: (model: string) => boolean, mapped: string | undefined, upstream: T,
   *   rank: number}[]} */
  #patterns = [];

  /**
   * @param {{upstream: T, models?: string[] | Record<string, string>}[]} entries in order of preference;
   *   an upstream without `models` serves all models
   */
  constructor(entries) {
    for (const { upstream, models = ['*'] } of entries) {
      const isList = Array.isArray(models);
      const pairs = isList ? models.map((name) => [name, name]) : Object.entries(models);
      for (const [name, model] of pairs) {
        if (name.includes('*')) this.#addPattern(name, isList ? undefined : model, upstream);
        else this.#addName(name, { upstream, model, rank: isList ? EXACT : ALIAS });
      }
    }
  }

  /** The exact names and aliases, in order. @returns {string[]} */
  get names() {
    return [...this.#named.keys()];
  }

  /** @param {string} model */
  serves(model) {
    return this.#named.has(model) || this.#patterns.some(({ matches }) => matches(model));
  }

  /**
   * @param {string} model
   * @returns {Served<T>[]} each upstream at most once, the preferred ones first
   */
  find(model) {
    const found = [...(this.#named.get(model) ?? [])];
    for (const { matches, mapped, upstream, rank } of this.#patterns) {
      if (matches(model)) found.push({ upstream, model: mapped ?? model, rank });
    }
    // Stable: upstreams of one rank keep the order of the configuration.
    found.sort((a, b) => a.rank - b.rank);
    const seen = new Set();
    return found.filter(({ upstream }) => !seen.has(upstream) && seen.add(upstream));
  }

  /** @param {string} name @param {Served<T>} served */
  #addName(name, served) {
    const others = this.#named.get(name);
    if (others === undefined) this.#named.set(name, [served]);
    else others.push(served);
  }

  /** @param {string} pattern @param {string | undefined} mapped @param {T} upstream */
  #addPattern(pattern, mapped, upstream) {
    const expression = toRegExp(pattern);
    const matches = (/** @type {string} */ model) => expression.test(model);
    this.#patterns.push({ matches, mapped, upstream, rank: PATTERN_BASE - pattern.length });
  }
}
