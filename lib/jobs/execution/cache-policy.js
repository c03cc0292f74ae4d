/** Decides which requests may share an answer, and computes their cache keys. Pure functions. */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { comparing } from '../../internal/util/exact-json.js';

/** @typedef {import('../checked-request.js').CheckedRequest} CheckedRequest */

/**
 * Scope of sharing: the jobs of one principal, those of its organisation, or all jobs. With
 * `organisation`, a principal without one shares only its own answers.
 * @typedef {'principal' | 'organisation' | 'global'} CacheScope
 */

/**
 * @typedef {object} CachePolicyOptions
 * @property {'off' | 'auto'} mode
 * @property {CacheScope} scope
 * @property {number} ttlMs
 */

/**
 * @typedef {object} CachePlan how the cache handles one request
 * @property {string} key equal for equal requests
 * @property {boolean} refresh a new answer replaces the old one
 * @property {number} ttlMs how long the answer may be kept; 0: shared only while it runs
 */

/**
 * @param {string | undefined} header a `Cache-Control` header
 * @returns {string[]} its directives, without their values
 */
function directivesOf(header = '') {
  return header.split(',').map((part) => part.split('=', 1)[0].trim().toLowerCase());
}

/** Members of an upstream call's body that do not change its answer. */
const isAside = (/** @type {string} */ name) =>
  name.startsWith('stream') || name === 'user' || name === 'metadata';

/**
 * Hash of the body of the upstream call, without the members that do not change the answer. The
 * job's own options are no part of that body.
 * @param {CheckedRequest} request
 * @param {string} model resolved
 * @param {readonly string[]} scope
 * @returns {string}
 */
function keyOf(
  { prompt, prompt_ids, messages, temperature, stop, passed = {}, ...rest },
  model,
  scope,
) {
  const { max_tokens, max_completion_tokens, n } = rest;
  const limits = { max_tokens, max_completion_tokens };
  const own = {
    prompt,
    prompt_ids,
    messages,
    temperature,
    stop: stop && [stop].flat(),
    n,
    ...limits,
  };
  const others = Object.entries(passed).filter(([name]) => !isAside(name));
  const question = { scope, model, ...own, passed: Object.fromEntries(others) };
  return createHash('sha256')
    .update(comparing(() => canonicalize(JSON.parse(JSON.stringify(question)))) ?? '')
    .digest('base64url');
}

/**
 * @param {CheckedRequest} request
 * @param {object} of
 * @param {string} of.model resolved
 * @param {Readonly<import('../policy/config.js').Access>} of.access of the caller
 * @param {string} [of.cacheControl] the request's `Cache-Control` header
 * @param {CachePolicyOptions} options the gateway's
 * @returns {CachePlan | undefined} undefined: the answer is neither looked up nor stored
 */
export function planOf(request, { model, access, cacheControl }, options) {
  const { mode = 'auto', ttl_s: ttlS } = request.cache ?? {};
  if (options.mode === 'off' || mode === 'off') return undefined;
  // At other temperatures a repeated request should get a new answer.
  if (mode === 'auto' && request.temperature !== 0) return undefined;
  const directives = directivesOf(cacheControl);
  if (directives.includes('no-store')) return undefined;
  const { principal, organisation } = access;
  let scope = ['principal', principal];
  if (options.scope === 'global') scope = ['global'];
  else if (options.scope === 'organisation' && organisation !== undefined) {
    scope = ['organisation', organisation];
  }
  return {
    key: keyOf(request, model, scope),
    refresh: mode === 'refresh' || directives.includes('no-cache'),
    ttlMs: ttlS === undefined ? options.ttlMs : ttlS * 1000,
  };
}
