/** `crawl(options)`. The crawler itself is loaded by the first crawl that is read. */
import { createRequire } from 'node:module';
import { asyncIterator } from '../../internal/util/async-iterator.js';
import { checkCrawlOptions } from './options.js';
import { lateModule } from '../../internal/util/packages.js';

/** @type {() => typeof import('./crawler.js')} */
const crawlerModule = lateModule(import.meta.url, (require) => require('./crawler.js'));

const { version } = createRequire(import.meta.url)('../../../package.json');

/** The counts of a crawl before its first request. */
const NO_COUNTS = Object.freeze({ pages: 0, skipped: 0, errors: 0, requests: 0, waiting: 0 });

/**
 * Crawls a site, breadth first, from one page on: same scheme, host and port, each URL once.
 *
 * Yields the outcome of each URL as soon as it is known. Links to other sites or schemes, links with
 * credentials or `rel="nofollow"`, links of a page with `nofollow`, and links deeper than
 * `depth`, longer than 2048 characters or excluded by `include` and `exclude` yield nothing. Leaving
 * the loop ends the crawl; aborting the signal ends it and throws the signal's reason. Either closes
 * its sockets at once.
 * @param {import('./options.js').CrawlOptions} options
 * @returns {import('./items.js').Crawling}
 * @throws {TypeError | RangeError} for bad options
 */
export function crawl(options) {
  const checked = checkCrawlOptions(options, `sluice/${version}`);
  /** @type {import('./crawler.js').Crawler | undefined} */
  let crawler;
  let cancelled = false;
  const load = async () => {
    const { Crawler } = crawlerModule();
    crawler ??= new Crawler(checked);
    if (cancelled) crawler.cancel();
    return crawler.take();
  };
  const items = asyncIterator(
    () => crawler?.take() ?? load(),
    () => {
      cancelled = true;
      crawler?.cancel();
    },
  );
  const stats = () =>
    crawler?.stats() ?? {
      ...NO_COUNTS,
      ended: cancelled ? /** @type {const} */ ('cancelled') : undefined,
    };
  return Object.assign(items, { stats });
}
