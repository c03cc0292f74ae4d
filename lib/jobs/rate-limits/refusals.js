/** The answer to a request that a limit refuses. Pure functions. */
import { HttpError } from '../../internal/util/http-error.js';
import { overloaded } from '../errors.js';
import { rateLimitHeaders } from './headers.js';

/** @typedef {import('../policy/access-control.js').Budget} Budget */
/** @typedef {import('../../primitives/limiters/quota.js').QuotaEntry} QuotaEntry */

/** Retry-After of a refusal by `concurrent_jobs`, because the end of a running job is unknown. */
const PLACE_RETRY_S = 1;

/** Names of the scopes in error messages. */
const WHOSE = Object.freeze({
  principal: 'this key',
  organisation: 'this organisation',
  model: 'this model',
  endpoint: 'this endpoint',
});

/**
 * A refusal because a limit is exhausted.
 * @typedef {HttpError & {retryAfterMs: number, refusedBy: {scope: Budget['scope'],
 *   limit: string}[]}} RateLimitError `retryAfterMs` Infinity: no retry can succeed
 */

/** @param {QuotaEntry} entry */
const waitOf = ({ retryAfter, windowMs, cost, limit }) =>
  windowMs === undefined && cost <= limit ? PLACE_RETRY_S : retryAfter;

/**
 * @param {QuotaEntry} entry with the longest wait
 * @param {Budget} budget
 * @returns {string}
 */
function reasonOf({ dimension, limit, cost, remaining, retryAfter }, { scope }) {
  const holder = WHOSE[scope];
  if (dimension === 'concurrent_jobs') {
    return `Rate limit reached: ${holder} may have ${limit} jobs at a time.`;
  }
  if (dimension === 'requests') {
    return `Rate limit reached: ${holder} may make ${limit} requests per minute.`;
  }
  const reserved = `this request reserves ${cost} (prompt and max_tokens)`;
  if (retryAfter === Infinity) {
    return `Request too large: ${holder} may use ${limit} tokens per minute, and ${reserved}; ask for fewer.`;
  }
  const left = Math.max(0, Math.floor(remaining));
  return `Rate limit reached: ${holder} may use ${limit} tokens per minute, ${reserved}, and ${left} are left.`;
}

/**
 * @param {readonly QuotaEntry[]} entries of a reservation that was denied
 * @param {readonly Budget[]} budgets of the entries
 * @param {readonly QuotaEntry[]} [remaining] remaining amounts for the response headers; default: the entries
 * @returns {RateLimitError | HttpError} 429; 503 if no limit is exhausted
 */
export function refusalOf(entries, budgets, remaining = entries) {
  const failed = entries.map((entry, i) => ({ entry, budget: budgets[i] }));
  const refusing = failed.filter(({ entry }) => !entry.allowed);
  // No limit is exhausted; the quota has no room for another lease.
  if (refusing.length === 0) return overloaded();
  const longest = refusing.reduce((a, b) => (waitOf(b.entry) > waitOf(a.entry) ? b : a));
  const seconds = waitOf(longest.entry);
  const never = seconds === Infinity;
  const whole = Math.max(1, Math.ceil(seconds));
  const reason = reasonOf(longest.entry, longest.budget);
  const error = new HttpError(429, {
    code: never ? 'request_exceeds_limit' : 'rate_limit_exceeded',
    message: never ? reason : `${reason} Try again in ${whole} s.`,
    param: never ? 'max_tokens' : null,
    headers: {
      ...rateLimitHeaders(remaining),
      // A retry cannot succeed; without this header OpenAI's clients would retry.
      ...(never ? { 'x-should-retry': 'false' } : { 'Retry-After': String(whole) }),
    },
  });
  return Object.assign(error, {
    retryAfterMs: never ? Infinity : seconds * 1000,
    refusedBy: refusing.map(({ entry, budget }) => ({
      scope: budget.scope,
      limit: entry.dimension,
    })),
  });
}
