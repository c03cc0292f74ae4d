/**
 * What a crawl gives for each URL, and what it counts, as types. This file has no code.
 */

/** @typedef {import('./fetch.js').CrawlError} CrawlError */

/**
 * A page that was read: `url` is where, after any redirects, and `redirectedFrom` the link that led
 * there when that was another. `depth` counts links from the first page.
 * @typedef {{url: string, status: number, title: string, text: string, depth: number,
 *   redirectedFrom?: string}} CrawlPage
 */

/**
 * A URL that was not read, for a reason that is no fault: `robots` (robots.txt forbids it),
 * `content_type` (neither HTML nor plain text; `contentType` says what), `too_large`, `off_site`
 * (redirected to another scheme, host or port: `location`), `duplicate` (redirected to a URL that
 * is fetched by itself: `location`), or `limit` (redirected when too many URLs were known).
 * @typedef {{url: string, skipped: 'robots' | 'content_type' | 'too_large' | 'off_site' |
 *   'duplicate' | 'limit', depth: number, contentType?: string, location?: string}} CrawlSkipped
 */

/** @typedef {{url: string, error: CrawlError, depth: number}} CrawlFailed */

/** @typedef {CrawlPage | CrawlSkipped | CrawlFailed} CrawlItem */

/**
 * @typedef {object} CrawlStats
 * @property {number} pages handed out, or about to be; likewise the other two
 * @property {number} skipped
 * @property {number} errors
 * @property {number} requests sent, those for robots.txt included
 * @property {number} waiting URLs known and not looked at
 * @property {'complete' | 'limit' | 'cancelled' | undefined} ended `limit`: there was more to fetch
 */

export {};
