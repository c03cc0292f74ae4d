/** Crawls in requests and events: `crawl()`'s options and items in snake_case. Pure functions. */
import { badRequest } from '../../internal/util/http-error.js';
import { checkCrawlOptions, LIMITS } from '../../primitives/crawler/options.js';

/**
 * Fields of a crawl; see CrawlOptions for their ranges and defaults.
 * @typedef {object} CrawlRequest
 * @property {string} start_url
 * @property {number} [limit] pages
 * @property {number} [depth]
 * @property {number} [concurrency]
 * @property {number} [per_host_per_second]
 * @property {number} [timeout_ms]
 * @property {boolean} [sitemaps]
 * @property {string[]} [include]
 * @property {string[]} [exclude]
 * @property {Record<string, string>} [headers]
 */

const within = (/** @type {{min: number, max: number}} */ { min, max }, type = 'integer') => ({
  type,
  minimum: min,
  maximum: max,
});

const patterns = { type: 'array', items: { type: 'string' } };

/** JSON schemas of the fields. */
export const crawlProperties = Object.freeze({
  start_url: { type: 'string', minLength: 1, maxLength: 4096 },
  limit: within(LIMITS.limit),
  depth: within(LIMITS.depth),
  concurrency: within(LIMITS.concurrency),
  per_host_per_second: within(LIMITS.perHostPerSecond, 'number'),
  timeout_ms: within(LIMITS.timeoutMs),
  sitemaps: { type: 'boolean' },
  include: patterns,
  exclude: patterns,
  headers: { type: 'object', additionalProperties: { type: 'string' } },
});

/**
 * @param {CrawlRequest} request a request that has passed the schema
 * @returns {import('../../primitives/crawler/options.js').CrawlOptions}
 */
export function crawlOptions(request) {
  const { start_url, per_host_per_second, timeout_ms, ...same } = request;
  const { limit, depth, concurrency, sitemaps, include, exclude, headers } = same;
  return {
    startUrl: start_url,
    limit,
    depth,
    concurrency,
    perHostPerSecond: per_host_per_second,
    timeoutMs: timeout_ms,
    sitemaps,
    include,
    exclude,
    headers,
  };
}

/**
 * The outcome of a URL as an event of a stream.
 * @param {import('../../primitives/crawler/items.js').CrawlItem} found
 * @param {{text?: boolean}} [options] `text`: with the text of a page; default: with its length
 * @returns {{type: 'page' | 'page_skipped' | 'page_error', data: object}}
 */
export function crawlEvent(found, { text: whole = false } = {}) {
  if (found.error) return { type: 'page_error', data: found };
  if (found.skipped) {
    const { skipped: reason, contentType: content_type, ...data } = found;
    return { type: 'page_skipped', data: { ...data, reason, content_type } };
  }
  const { text, redirectedFrom: redirected_from, ...data } = found;
  const content = whole ? { text } : { text_length: text.length };
  return { type: 'page', data: { ...data, redirected_from, ...content } };
}

/**
 * Checks beyond the schema.
 * @param {CrawlRequest} request a request that has passed the schema
 * @param {string} [at] prefix of its fields in the body, `nodes[0].crawl.`
 * @throws {import('../../internal/util/http-error.js').HttpError} 400, naming the field
 */
export function checkCrawlRequest(request, at = '') {
  try {
    checkCrawlOptions(crawlOptions(request), 'sluice');
  } catch (/** @type {any} */ error) {
    // The message names the option first: `include[0] takes ...`.
    const [, option, rest] = /^(\w+)(.*)$/s.exec(error.message) ?? ['', 'start_url', ''];
    const name = option.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const field = at + name + (/^[[.]\S+/.exec(rest)?.[0] ?? '');
    const says = `${at}${name}${rest.replace(/ takes (?=an? )/, ' must be ')}`;
    throw badRequest('invalid_value', field, `${says}.`);
  }
}
