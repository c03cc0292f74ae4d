/**
 * Types of the outcomes of a crawl and of its counts. This file has types only.
 */

/**
 * @typedef {'address_not_allowed' | 'dns_failed' | 'connect_failed' | 'tls_failed' | 'disconnected'
 *   | 'protocol_error' | 'timeout' | 'http_status' | 'bad_encoding' | 'bad_redirect' | 'redirect_loop'
 *   | 'too_many_redirects' | 'host_unavailable' | 'internal_error'} CrawlErrorCode
 */

/**
 * Why a URL could not be read.
 * @typedef {object} CrawlError
 * @property {CrawlErrorCode} code
 * @property {string} message for people; may change between versions
 * @property {number} [status] of `http_status`
 */

/**
 * A page.
 * @typedef {object} CrawlPage
 * @property {string} url final URL of the page, after any redirects
 * @property {number} status HTTP status
 * @property {string} title of an HTML page; '' if it has none
 * @property {string} text a line per block, white space collapsed
 * @property {number} depth links from the first page
 * @property {string} [redirectedFrom] the original link, if it was redirected
 * @property {undefined} [skipped]
 * @property {undefined} [error]
 */

/**
 * A URL that was not read, without an error.
 * @typedef {object} CrawlSkipped
 * @property {string} url
 * @property {'robots' | 'content_type' | 'too_large' | 'off_site' | 'duplicate' | 'excluded' | 'limit'
 *   } skipped `robots`: robots.txt forbids it. `content_type`: neither HTML nor plain text.
 *   `too_large`: over `maxBodyBytes`, or a sitemap over 10 MiB. For a redirect: `off_site` leads to
 *   another scheme, host or port, `duplicate` to a URL with its own outcome, `excluded` to one that
 *   `include` and `exclude` exclude, `limit` to a new URL after the limit was reached. `off_site` also:
 *   a sitemap on another site
 * @property {number} depth links from the first page
 * @property {string} [contentType] of `content_type`, if the server sent one
 * @property {string} [location] of a redirect, as the server sent it
 * @property {undefined} [error]
 */

/**
 * A URL that could not be read.
 * @typedef {object} CrawlFailed
 * @property {string} url
 * @property {CrawlError} error
 * @property {number} depth links from the first page
 * @property {undefined} [skipped]
 */

/**
 * The outcome of a URL. `item.error` marks a failed one, `item.skipped` a skipped one; the others are
 * pages.
 * @typedef {CrawlPage | CrawlSkipped | CrawlFailed} CrawlItem
 */

/**
 * Counts of a crawl.
 * @typedef {object} CrawlStats
 * @property {number} pages read or waiting to be read, like `skipped` and `errors`
 * @property {number} skipped
 * @property {number} errors
 * @property {number} requests sent, those for robots.txt and sitemaps included
 * @property {number} waiting known URLs that were not requested
 * @property {'complete' | 'limit' | 'cancelled' | undefined} ended undefined: it is running. `limit`: there
 *   was more to fetch
 */

/**
 * A running crawl: an async iterable of the outcome of each URL.
 * @typedef {AsyncIterableIterator<CrawlItem> & {stats: () => CrawlStats}} Crawling
 */

export {};
