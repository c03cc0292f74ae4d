/**
 * Rate-limit headers of responses: `RateLimit` and `RateLimit-Policy` as in
 * draft-ietf-httpapi-ratelimit-headers-11, and the `x-ratelimit-*` headers that OpenAI's clients
 * read. Pure functions.
 *
 * If several budgets (a key, its organisation, a model) limit the same dimension, the headers show
 * the one with the least remaining.
 */

/** @typedef {import('../../primitives/limiters/quota.js').QuotaEntry} QuotaEntry */

const MS_PER_S = 1000;
/** @type {Record<string, string>} */
const NONE = Object.freeze({});

/**
 * @param {QuotaEntry} a
 * @param {QuotaEntry} b
 */
function isTighter(a, b) {
  if (a.remaining !== b.remaining) return a.remaining < b.remaining;
  return a.limit < b.limit || (a.limit === b.limit && a.resetAfter > b.resetAfter);
}

/**
 * @param {readonly QuotaEntry[]} entries
 * @returns {QuotaEntry[]} one for each dimension, in the order of the first of each
 */
function tightest(entries) {
  /** @type {QuotaEntry[]} */
  const found = [];
  for (const entry of entries) {
    const at = found.findIndex(({ dimension }) => dimension === entry.dimension);
    if (at === -1) found.push(entry);
    else if (isTighter(entry, found[at])) found[at] = entry;
  }
  return found;
}

/** Windowed dimensions, and the names of their headers, which OpenAI's clients read. */
const COUNTED = ['requests', 'tokens'].map((dimension) => ({
  dimension,
  limit: `x-ratelimit-limit-${dimension}`,
  remaining: `x-ratelimit-remaining-${dimension}`,
  reset: `x-ratelimit-reset-${dimension}`,
}));

/** Amount available now: a whole number, at least 0. @param {QuotaEntry} entry */
const left = ({ remaining }) => Math.max(0, Math.floor(remaining));

/**
 * An sf-string of RFC 9651. The names of dimensions are plain ASCII.
 * @param {string} text
 */
const quoted = (text) => `"${text.replace(/[\\"]/g, '\\$&')}"`;

const CONCURRENT = quoted('concurrent-requests');

/** Names of the dimensions in the format of the headers; a gateway has three. @type {Map<string, string>} */
const names = new Map();

/** @param {string} dimension */
function nameOf(dimension) {
  let name = names.get(dimension);
  if (name === undefined) {
    name = quoted(dimension.replaceAll('_', '-'));
    names.set(dimension, name);
  }
  return name;
}

/** Cache of policies in the format of the headers, by dimension: limits rarely change. */
/** @type {Map<string, {limit: number, windowMs: number | undefined, item: string}>} */
const policies = new Map();

/** @param {QuotaEntry} entry */
function policyItem(entry) {
  const { dimension, limit, windowMs } = entry;
  const last = policies.get(dimension);
  if (last !== undefined && last.limit === limit && last.windowMs === windowMs) return last.item;
  const item = policyOf(entry);
  policies.set(dimension, { limit, windowMs, item });
  return item;
}

/** @param {QuotaEntry} entry */
function policyOf({ dimension, limit, windowMs }) {
  const name = nameOf(dimension);
  // No unit is registered for tokens; the default unit is "requests".
  if (windowMs === undefined) return `${name};q=${limit};qu=${CONCURRENT}`;
  return `${name};q=${limit};w=${Math.round(windowMs / MS_PER_S)}`;
}

/**
 * `t` is the time during which at most `r` are available: until the bucket has gained a whole unit.
 * As the draft requires, `Retry-After` is never earlier. Concurrent jobs have no `t`.
 * @param {QuotaEntry} entry
 */
function limitItem(entry) {
  const { dimension, limit, windowMs, resetAfter } = entry;
  const item = `${nameOf(dimension)};r=${left(entry)}`;
  if (windowMs === undefined) return item;
  const missing = limit - left(entry);
  const untilNext = resetAfter - (Math.max(0, missing - 1) * windowMs) / MS_PER_S / limit;
  return `${item};t=${Math.max(0, Math.ceil(untilNext))}`;
}

/**
 * A duration in the format of OpenAI and Go: `0s`, `12ms`, `1.5s`, `6m0s`, `1h0m0.25s`.
 * @param {number} seconds
 * @returns {string} rounded up to milliseconds
 */
export function formatSpan(seconds) {
  const ms = Math.ceil(seconds * MS_PER_S);
  if (ms === 0) return '0s';
  if (ms < MS_PER_S) return `${ms}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000) % 60;
  const rest = `${(ms % 60_000) / MS_PER_S}s`;
  if (hours > 0) return `${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${minutes}m${rest}` : rest;
}

/**
 * @param {readonly QuotaEntry[]} entries result of a reservation
 * @returns {Record<string, string>} empty if no limit applies
 */
export function rateLimitHeaders(entries) {
  if (entries.length === 0) return NONE;
  const all = tightest(entries);
  /** @type {Record<string, string>} */
  const headers = {
    'RateLimit-Policy': all.map(policyItem).join(', '),
    RateLimit: all.map(limitItem).join(', '),
  };
  for (const { dimension, limit, remaining, reset } of COUNTED) {
    const entry = all.find((each) => each.dimension === dimension);
    if (entry === undefined) continue;
    headers[limit] = String(entry.limit);
    headers[remaining] = String(left(entry));
    headers[reset] = formatSpan(entry.resetAfter);
  }
  return headers;
}
