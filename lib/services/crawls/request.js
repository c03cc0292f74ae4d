/**
 * A crawl as a request says it: the fields of `crawl()`'s options, snake_case. Pure functions.
 */
import { badRequest } from '../../internal/util/http-error.js';
import { checkCrawlOptions, kLimits } from '../../primitives/crawler/options.js';

/**
 * @typedef {object} CrawlRequest
 * @property {string} start_url
 * @property {number} [limit] pages
 * @property {number} [depth]
 * @property {number} [concurrency]
 * @property {number} [per_host_per_second]
 * @property {number} [timeout_ms]
 */

const within = (/** @type {{min: number, max: number}} */ { min, max }, type = 'integer') => ({
  type,
  minimum: min,
  maximum: max,
});

/** JSON schemas of the fields. */
export const crawlProperties = Object.freeze({
  start_url: { type: 'string', minLength: 1, maxLength: 4096 },
  limit: within(kLimits.limit),
  depth: within(kLimits.depth),
  concurrency: within(kLimits.concurrency),
  per_host_per_second: within(kLimits.perHostPerSecond, 'number'),
  timeout_ms: within(kLimits.timeoutMs),
});

/**
 * @param {CrawlRequest} request that the schema has passed
 * @returns {import('../../primitives/crawler/options.js').CrawlOptions}
 */
export function crawlOptions(request) {
  const {
    start_url: startUrl,
    limit,
    depth,
    concurrency,
    per_host_per_second: perHostPerSecond,
    timeout_ms: timeoutMs,
  } = request;
  return { startUrl, limit, depth, concurrency, perHostPerSecond, timeoutMs };
}

/**
 * What came of a URL, as an event of a stream.
 * @param {import('../../primitives/crawler/crawl.js').CrawlItem} found
 * @param {{text?: boolean}} [options] `text`: with the text of a page; default its length alone
 * @returns {{type: 'page' | 'page_skipped' | 'page_error', data: object}}
 */
export function crawlEvent(found, { text: whole = false } = {}) {
  if ('error' in found) return { type: 'page_error', data: found };
  if ('skipped' in found) {
    const { skipped: reason, contentType: content_type, ...data } = found;
    return { type: 'page_skipped', data: { ...data, reason, content_type } };
  }
  const { text, redirectedFrom: redirected_from, ...data } = found;
  const content = whole ? { text } : { text_length: text.length };
  return { type: 'page', data: { ...data, redirected_from, ...content } };
}

/**
 * What no schema can say of a request.
 * @param {CrawlRequest} request that the schema has passed
 * @param {string} [at] where it is in the body, `nodes[0].crawl.`
 * @throws {import('../../internal/util/http-error.js').HttpError} 400, naming the field
 */
export function checkCrawlRequest(request, at = '') {
  try {
    checkCrawlOptions(crawlOptions(request), 'sluice');
  } catch (/** @type {any} */ error) {
    const says = String(error.message).replace(/^startUrl takes/, 'must be');
    throw badRequest('invalid_value', `${at}start_url`, `${at}start_url ${says}.`);
  }
}
