/**
 * A crawl of one site, breadth first, as an async iterable that its reader drives.
 *
 * What to fetch, when, and how often is decided by the native frontier (core/crawl_frontier.h);
 * this side makes the requests, reads the pages, and hands out what came of each URL. Main thread
 * only. Nothing happens before the first `next()`, and no more is fetched than the reader keeps up
 * with. Ends with its last page, with `return()`, or with its signal; then no socket is open.
 */
import { createRequire } from 'node:module';
import { setImmediate as turn } from 'node:timers/promises';
import native from '../../internal/native/addon.js';
import { abortReason } from '../../internal/util/errors.js';
import { deadlinesOf } from '../../internal/time/timers.js';
import { monotonicClock } from '../../internal/time/clock.js';
import { whenAborted } from '../../internal/util/abort.js';
import { ResultQueue } from '../scheduling/result-queue.js';
import { CrawlConnections } from './connections.js';
import { Failure, Fetcher } from './fetch.js';
import { checkCrawlOptions } from './options.js';
import { fetchRobots, kAllowAll, robotsUrlOf } from './robots.js';
import { resolveLink } from './url.js';

/** @typedef {import('./items.js').CrawlPage} CrawlPage */
/** @typedef {import('./items.js').CrawlItem} CrawlItem */
/** @typedef {import('./items.js').CrawlStats} CrawlStats */

/**
 * A URL on its way through its redirects.
 * @typedef {{url: string, hops: Set<string>}} Journey `url` is the link that led here
 */

/** What the native frontier says of a URL. */
const Claim = Object.freeze({ NEW: 0, KNOWN: 1, TOO_DEEP: 2, FULL: 3 });

const kRedirectsMax = 10;
/** URLs that may be claimed: so many for each page of the limit, and some. */
const kUrlsPerPage = 10;
const kUrlsMore = 100;
/** How long the links of one page may keep others waiting. */
const kTurnMs = 10;

const { version } = createRequire(import.meta.url)('../../../package.json');

class Crawl {
  #options;
  #origin;
  #robotsUrl;
  #frontier;
  #nowMs;
  #deadlines;
  #connections;
  #fetcher;
  #robots = kAllowAll;
  /** @type {ResultQueue<CrawlItem>} */
  #results = new ResultQueue(Infinity);
  #reader = this.#results.iterate();
  /** @type {Map<number, Journey>} of those redirected */
  #journeys = new Map();
  #started = false;
  #dropped = false; // Links that were more than may be claimed.
  #inFlight = 0;
  #stopTimer = () => {};
  #release = () => {};
  /** @type {CrawlStats['ended']} */
  #ended;
  /** @type {{reason: unknown} | undefined} the signal's, until it is thrown */
  #thrown;
  #counts = { pages: 0, skipped: 0, errors: 0, requests: 0 };

  /** @param {ReturnType<typeof checkCrawlOptions>} options */
  constructor(options) {
    this.#options = options;
    const { startUrl, clock, timeoutMs, concurrency, userAgent } = options;
    this.#origin = new URL(startUrl).origin;
    this.#robotsUrl = robotsUrlOf(this.#origin);
    this.#nowMs = monotonicClock(clock);
    this.#deadlines = deadlinesOf(clock);
    this.#frontier = new native.CrawlFrontier({
      pages: options.limit,
      urls: kUrlsPerPage * options.limit + kUrlsMore,
      depth: options.depth,
      concurrency,
      perSecond: options.perHostPerSecond,
    });
    this.#connections = new CrawlConnections({ ...options, connections: concurrency });
    this.#fetcher = new Fetcher({
      connections: this.#connections,
      deadlines: this.#deadlines,
      timeoutMs,
      bodyBytesMax: options.maxBodyBytes,
      userAgent,
    });
  }

  /**
   * @returns {Promise<IteratorResult<CrawlItem, undefined>>}
   * @throws the signal's reason, once, if the signal ended the crawl
   */
  async next() {
    this.#start();
    this.#throwReason();
    if (this.#ended === 'cancelled') return { done: true, value: undefined };
    const pending = this.#reader.next();
    // What was taken has made room.
    this.#pump();
    const step = await pending;
    if (step.done) this.#throwReason();
    return step;
  }

  /** Ends the crawl: sockets are closed at once. Idempotent. */
  async return() {
    this.#cancel();
    return { done: /** @type {const} */ (true), value: undefined };
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** @returns {CrawlStats} */
  stats() {
    const [, waiting] = this.#frontier.counts();
    return { ...this.#counts, waiting, ended: this.#ended };
  }

  #start() {
    if (this.#started) return;
    this.#started = true;
    const { signal } = this.#options;
    const onAbort = () => {
      if (this.#ended !== undefined) return;
      this.#thrown = { reason: abortReason(/** @type {AbortSignal} */ (signal)) };
      this.#cancel();
    };
    if (signal?.aborted) {
      onAbort();
      return;
    }
    this.#release = whenAborted(signal, onAbort);
    // The site's rules come first, at the site's pace.
    this.#frontier.seed(this.#robotsUrl, this.#origin);
  }

  #throwReason() {
    if (this.#thrown === undefined) return;
    const { reason } = this.#thrown;
    this.#thrown = undefined;
    throw reason;
  }

  #cancel() {
    this.#started = true;
    if (this.#ended !== undefined) return;
    this.#end('cancelled');
  }

  /** @param {NonNullable<CrawlStats['ended']>} how */
  #end(how) {
    this.#ended = how;
    this.#stopTimer();
    this.#release();
    this.#connections.close();
    this.#results.end();
  }

  /** Sends what may be sent, and sees to it that it is called again. */
  #pump() {
    if (this.#ended !== undefined) return;
    this.#stopTimer();
    // What nobody has read yet holds its place: a reader that stops stops the crawl.
    while (this.#inFlight + this.#results.size < this.#options.concurrency) {
      const dispatch = this.#frontier.next(this.#nowMs());
      if (dispatch === undefined) break;
      void this.#run(dispatch);
    }
    if (this.#inFlight === 0 && this.#frontier.finished()) {
      const [, waiting] = this.#frontier.counts();
      this.#end(waiting > 0 || this.#dropped ? 'limit' : 'complete');
      return;
    }
    if (this.#inFlight + this.#results.size >= this.#options.concurrency) return;
    const nowMs = this.#nowMs();
    const delayMs = this.#frontier.nextDeadlineMs(nowMs) - nowMs;
    this.#stopTimer = this.#deadlines.start(delayMs, () => this.#pump());
  }

  /** @param {[id: number, depth: number, attempt: number, url: string]} dispatch */
  async #run([id, depth, , url]) {
    this.#inFlight += 1;
    const journey = this.#journeys.get(id) ?? { url, hops: new Set([url]) };
    const isRobots = journey.url === this.#robotsUrl;
    try {
      if (isRobots) await this.#enter(id);
      else await this.#fetchPage(id, { url, depth, journey });
    } catch {
      // A page that trips up its reader costs itself, not the crawl.
      const error = { code: 'internal_error', message: 'The page could not be processed' };
      this.#give({ url: journey.url, error, depth });
      this.#frontier.finish(id, false);
    }
    this.#inFlight -= 1;
    this.#pump();
  }

  /**
   * @param {number} id
   * @param {{url: string, depth: number, journey: Journey}} at
   */
  async #fetchPage(id, { url, depth, journey }) {
    this.#counts.requests += 1;
    const outcome = await this.#fetcher.page(url);
    if (this.#ended !== undefined) return;
    if (outcome.type === 'redirect') {
      this.#redirect(id, { url, depth, journey, location: outcome.location });
      return;
    }
    if (outcome.type === 'failed') {
      this.#fail(id, outcome, { url: journey.url, depth });
      return;
    }
    this.#journeys.delete(id);
    if (outcome.type === 'page') {
      const { title, text } = outcome.page;
      const redirectedFrom = url === journey.url ? {} : { redirectedFrom: journey.url };
      this.#give({ url, status: outcome.status, title, text, depth, ...redirectedFrom });
      await this.#follow(id, url, depth, outcome.page);
      if (this.#ended !== undefined) return;
    } else if (outcome.type === 'skipped') {
      const { type: _, reason, ...more } = outcome;
      this.#give({ url: journey.url, skipped: /** @type {any} */ (reason), depth, ...more });
    } else {
      this.#give({ url: journey.url, error: outcome.error, depth });
    }
    this.#frontier.finish(id, outcome.type === 'page');
  }

  /**
   * @param {number} id
   * @param {{url: string, depth: number, journey: Journey, location: string}} redirect
   */
  #redirect(id, { url, depth, journey, location }) {
    const { hops } = journey;
    const target = resolveLink(location, url, this.#origin);
    const end = (/** @type {any} */ outcome) => {
      this.#journeys.delete(id);
      this.#give({ url: journey.url, ...outcome, depth });
      this.#frontier.finish(id, false);
    };
    const fault = (/** @type {string} */ code, /** @type {string} */ message) =>
      end({ error: { code, message } });
    if ('refused' in target) {
      if (target.refused === 'off_site') end({ skipped: 'off_site', location });
      else fault('bad_redirect', 'The page redirects to what is no page');
    } else if (hops.has(target.url)) {
      fault('redirect_loop', 'The page redirects to itself, at once or in the end');
    } else if (hops.size > kRedirectsMax) {
      fault('too_many_redirects', `The page redirects more than ${kRedirectsMax} times`);
    } else if (!this.#robots.allows(target.url)) {
      end({ skipped: 'robots', location });
    } else {
      const claim = this.#frontier.redirect(id, target.url);
      if (claim === Claim.NEW) {
        hops.add(target.url);
        this.#journeys.set(id, journey);
      } else {
        end({ skipped: claim === Claim.KNOWN ? 'duplicate' : 'limit', location });
      }
    }
  }

  /**
   * @param {number} id
   * @param {Extract<import('./fetch.js').Outcome, {type: 'failed'}>} outcome
   * @param {{url: string, depth: number}} about
   * @returns {boolean} whether it is tried again
   */
  #fail(id, { failure, error, retryAfterMs }, { url, depth }) {
    const again = this.#frontier.fail(id, failure, retryAfterMs, this.#nowMs());
    if (!again) {
      this.#journeys.delete(id);
      this.#give({ url, error, depth });
    }
    const abandoned = this.#frontier.takeAbandoned();
    for (let i = 0; i < abandoned.length; i += 3) {
      const code = failure === Failure.FORBIDDEN ? error.code : 'host_unavailable';
      const message = `The host was given up: ${error.message}`;
      const from = this.#journeys.get(abandoned[i])?.url ?? abandoned[i + 2];
      this.#give({ url: from, error: { code, message }, depth: abandoned[i + 1] });
    }
    return again;
  }

  /**
   * Claims the links of a page, and queues those that may be fetched.
   * @param {number} id
   * @param {string} url of the page
   * @param {number} depth
   * @param {import('./html.js').Extract} page
   */
  async #follow(id, url, depth, { links, base, follow }) {
    if (!follow || depth >= this.#options.depth) return;
    const from = base !== undefined && URL.canParse(base, url) ? new URL(base, url) : url;
    let turnAtMs = performance.now() + kTurnMs;
    for (const href of links) {
      if (performance.now() > turnAtMs) {
        await turn();
        if (this.#ended !== undefined) return;
        turnAtMs = performance.now() + kTurnMs;
      }
      const link = resolveLink(href, from, this.#origin);
      if ('refused' in link || this.#frontier.claimed(link.url)) continue;
      if (this.#robots.allows(link.url)) {
        const claim = this.#frontier.link(id, link.url, this.#origin);
        if (claim === Claim.FULL) this.#dropped = true;
      } else if (this.#frontier.refuse(id, link.url) === Claim.NEW) {
        this.#give({ url: link.url, skipped: 'robots', depth: depth + 1 });
      }
    }
  }

  /**
   * Learns the site's rules and queues the first page, if they let us.
   * @param {number} id
   */
  async #enter(id) {
    const { startUrl, userAgent } = this.#options;
    const outcome = await fetchRobots(this.#fetcher, this.#origin, {
      userAgent,
      onRequest: () => (this.#counts.requests += 1),
    });
    if (this.#ended !== undefined) return;
    const refuse = () => this.#give({ url: startUrl, skipped: 'robots', depth: 0 });
    if ('type' in outcome) {
      const { failure, error, retryAfterMs } = outcome;
      if (this.#frontier.fail(id, failure, retryAfterMs, this.#nowMs())) return;
      if (error.code === 'http_status') refuse();
      else this.#give({ url: startUrl, error, depth: 0 });
      return;
    }
    const { robots } = outcome;
    if (robots !== undefined) {
      this.#robots = robots;
      this.#frontier.slowDown(this.#origin, robots.delayMs);
    }
    if (!robots?.allows(startUrl)) {
      refuse();
    } else if (this.#frontier.seed(startUrl, this.#origin) !== Claim.NEW) {
      this.#give({ url: startUrl, skipped: 'duplicate', depth: 0 });
    }
    this.#frontier.finish(id, false);
  }

  /** @param {CrawlItem} item */
  #give(item) {
    if (this.#ended !== undefined) return;
    if ('error' in item) this.#counts.errors += 1;
    else if ('skipped' in item) this.#counts.skipped += 1;
    else this.#counts.pages += 1;
    this.#results.push(item);
  }
}

/**
 * Crawls a site, breadth first, from one page on: same scheme, host and port, every URL once.
 *
 * Gives each URL's outcome as it comes. Links to elsewhere, `mailto:` and the like, links with
 * credentials, with `rel="nofollow"`, on a page that asks for `nofollow`, deeper than `depth` or
 * longer than 2048 characters are passed over in silence. Leaving the loop ends the crawl; aborting
 * the signal ends it by throwing the signal's reason. Either closes its sockets at once.
 * @param {import('./options.js').CrawlOptions} options
 * @returns {AsyncIterableIterator<CrawlItem> & {stats: () => CrawlStats}}
 * @throws {TypeError | RangeError} for bad options
 */
export function crawl(options) {
  return new Crawl(checkCrawlOptions(options, `sluice/${version}`));
}
