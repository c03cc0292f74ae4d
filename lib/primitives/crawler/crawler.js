/** The crawler: requests the URLs selected by the native frontier, and returns each outcome. */
import native from '../../internal/native/addon.js';
import { abortReason } from '../../internal/util/errors.js';
import { deadlinesOf } from '../../internal/time/timers.js';
import { monotonicClock } from '../../internal/time/clock.js';
import { END } from '../../internal/util/async-iterator.js';
import { whenAborted } from '../../internal/util/abort.js';
import { ResultQueue } from '../scheduling/result-queue.js';
import { CrawlConnections } from './connections.js';
import { Failure, Fetcher } from './fetch.js';
import { readSitemap } from './page-reader.js';
import { followRedirect } from './redirects.js';
import { ALLOW_ALL, fetchRobots, robotsUrlOf } from './robots.js';
import { SitemapList } from './sitemap-list.js';
import { nextTurn } from './turns.js';

/** @typedef {import('./items.js').CrawlPage} CrawlPage */
/** @typedef {import('./items.js').CrawlItem} CrawlItem */
/** @typedef {import('./items.js').CrawlStats} CrawlStats */

/** @typedef {import('./redirects.js').Journey} Journey */

/** Results of the native frontier's claims. */
const Claim = Object.freeze({ NEW: 0, KNOWN: 1, TOO_DEEP: 2, FULL: 3 });

/** URLs that may be claimed: a number for each page of the limit, and some more. */
const URLS_PER_PAGE = 10;
const URLS_MORE = 100;
/** Of one sitemap file, unpacked. */
const SITEMAP_BYTES_MAX = 10 * 1024 * 1024;
/** Time for the links of one page before other events get a turn. */
const TURN_MS = 10;

/**
 * A crawl of one site, breadth first, driven by its reader.
 *
 * The native frontier (core/crawl/frontier.h) decides which URL is requested, when, and how often.
 * This class makes the requests, reads the pages and returns the outcome of each URL. Main thread
 * only. It starts with the first `take()`, and fetches no faster than its reader
 * reads. Ends with its last page, with `cancel()`, or with its signal; no socket is open then.
 */
export class Crawler {
  #options;
  #origin;
  #robotsUrl;
  #frontier;
  #nowMs;
  #deadlines;
  #connections;
  #fetcher;
  #robots = ALLOW_ALL;
  /** @type {ResultQueue<CrawlItem>} */
  #results = new ResultQueue(Infinity);
  #reader = this.#results.iterate();
  /** @type {Map<number, Journey>} of redirected URLs */
  #journeys = new Map();
  #started = false;
  #dropped = false; // URLs beyond the number that may be claimed.
  /** @type {SitemapList | undefined} */
  #sitemaps;
  #inFlight = 0;
  #waiting = 0; // URLs, when the crawl ended.
  #stopTimer = () => {};
  #release = () => {};
  /** @type {CrawlStats['ended']} */
  #ended;
  /** The signal's reason, until it is thrown. @type {{reason: unknown} | undefined} */
  #thrown;
  #counts = { pages: 0, skipped: 0, errors: 0, requests: 0 };

  #onRequest = () => {
    this.#counts.requests += 1;
  };

  /** @param {ReturnType<typeof import('./options.js').checkCrawlOptions>} options */
  constructor(options) {
    this.#options = options;
    const { startUrl, clock, timeoutMs, concurrency, userAgent, headers } = options;
    this.#origin = new URL(startUrl).origin;
    this.#robotsUrl = robotsUrlOf(this.#origin);
    this.#nowMs = monotonicClock(clock);
    this.#deadlines = deadlinesOf(clock);
    this.#frontier = new native.CrawlFrontier({
      pages: options.limit,
      urls: URLS_PER_PAGE * options.limit + URLS_MORE,
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
      origin: this.#origin,
      headers: { ...headers, 'user-agent': userAgent },
    });
  }

  /**
   * The next item; the first call begins the crawl.
   * @returns {Promise<CrawlItem | typeof END>}
   * @throws the signal's reason, once, if the signal ended the crawl
   */
  async take() {
    this.#start();
    this.#throwReason();
    if (this.#ended === 'cancelled') return END;
    const pending = this.#reader.next();
    // A taken outcome makes room for another request.
    this.#pump();
    const step = await pending;
    if (!step.done) return step.value;
    this.#throwReason();
    return END;
  }

  /** @returns {CrawlStats} */
  stats() {
    const waiting = this.#ended === undefined ? this.#frontier.counts()[1] : this.#waiting;
    return { ...this.#counts, waiting, ended: this.#ended };
  }

  #start() {
    if (this.#started) return;
    this.#started = true;
    const { signal } = this.#options;
    const onAbort = () => {
      if (this.#ended !== undefined) return;
      this.#thrown = { reason: abortReason(/** @type {AbortSignal} */ (signal)) };
      this.cancel();
    };
    if (signal?.aborted) {
      onAbort();
      return;
    }
    this.#release = whenAborted(signal, onAbort);
    // robots.txt comes first, at the same pace as the pages.
    this.#frontier.seed(this.#robotsUrl, this.#origin);
  }

  #throwReason() {
    if (this.#thrown === undefined) return;
    const { reason } = this.#thrown;
    this.#thrown = undefined;
    throw reason;
  }

  /** Ends the crawl: sockets are closed at once. Idempotent. */
  cancel() {
    this.#started = true;
    if (this.#ended !== undefined) return;
    this.#end('cancelled');
  }

  /** @param {NonNullable<CrawlStats['ended']>} reason */
  #end(reason) {
    this.#ended = reason;
    // An ended crawl may be kept for its counts: release everything else.
    this.#waiting = this.#frontier.counts()[1];
    this.#frontier.clear();
    this.#robots = ALLOW_ALL;
    this.#journeys.clear();
    this.#sitemaps = undefined;
    this.#stopTimer();
    this.#release();
    this.#connections.close();
    this.#results.end();
  }

  /** Starts the requests that are due, and a timer for the next one. */
  #pump() {
    if (this.#ended !== undefined) return;
    this.#stopTimer();
    // An unread outcome occupies its place: a reader that stops reading pauses the crawl.
    while (this.#inFlight + this.#results.size < this.#options.concurrency) {
      const dispatch = this.#frontier.next(this.#nowMs());
      if (dispatch === undefined) break;
      void this.#run(dispatch);
    }
    if (this.#inFlight === 0 && this.#frontier.finished()) {
      const [, waiting] = this.#frontier.counts();
      const more = waiting > 0 || this.#dropped || this.#sitemaps?.more;
      this.#end(more ? 'limit' : 'complete');
      return;
    }
    if (this.#inFlight + this.#results.size >= this.#options.concurrency) return;
    const nowMs = this.#nowMs();
    const delayMs = this.#frontier.nextDeadlineMs(nowMs) - nowMs;
    this.#stopTimer = this.#deadlines.start(delayMs, () => this.#pump());
  }

  /** @param {[id: number, depth: number, attempt: number, url: string]} dispatch */
  async #run([id, depth, attempt, url]) {
    this.#inFlight += 1;
    const journey = this.#journeys.get(id) ?? { url, hops: new Set([url]) };
    try {
      if (journey.url === this.#robotsUrl) await this.#readRobots(id);
      else if (this.#sitemaps?.has(journey.url)) await this.#readSitemap(id, url, attempt);
      else await this.#fetchPage(id, { url, depth, journey });
    } catch {
      // A fault in one page ends only that page; the crawl continues.
      /** @type {import('./items.js').CrawlError} */
      const error = { code: 'internal_error', message: 'The page could not be processed' };
      this.#emit({ url: journey.url, error, depth });
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
      this.#emit({ url, status: outcome.status, title, text, depth, ...redirectedFrom });
      if (depth < this.#options.depth) {
        const link = (/** @type {string} */ target) =>
          this.#frontier.link(id, target, this.#origin);
        await this.#claim(outcome.page.links, depth + 1, link);
      }
      if (this.#ended !== undefined) return;
    } else if (outcome.type === 'skipped') {
      const { type: _, reason, ...more } = outcome;
      this.#emit({ url: journey.url, skipped: /** @type {any} */ (reason), depth, ...more });
    } else {
      this.#emit({ url: journey.url, error: outcome.error, depth });
    }
    this.#frontier.finish(id, outcome.type === 'page');
  }

  /**
   * @param {number} id
   * @param {{url: string, depth: number, journey: Journey, location: string}} redirect
   */
  #redirect(id, { url, depth, journey, location }) {
    const isStart = journey.url === this.#options.startUrl;
    const found = followRedirect(journey, location, {
      base: url,
      origin: this.#origin,
      allows: this.#robots.allows,
      selects: isStart ? () => true : this.#options.selects,
    });
    /** @type {any} */
    let outcome;
    if ('target' in found) {
      const claim = this.#frontier.redirect(id, found.target);
      if (claim === Claim.NEW) {
        journey.hops.add(found.target);
        this.#journeys.set(id, journey);
        return;
      }
      outcome = { skipped: claim === Claim.KNOWN ? 'duplicate' : 'limit', location };
    } else {
      outcome = found.outcome;
    }
    this.#journeys.delete(id);
    this.#emit({ url: journey.url, ...outcome, depth });
    this.#frontier.finish(id, false);
  }

  /**
   * @param {number} id
   * @param {Extract<import('./fetch.js').Outcome, {type: 'failed'}>} outcome
   * @param {{url: string, depth: number}} subject
   * @returns {boolean} whether it is retried
   */
  #fail(id, { failure, error, retryAfterMs }, { url, depth }) {
    const again = this.#frontier.fail(id, failure, retryAfterMs, this.#nowMs());
    if (!again) {
      this.#journeys.delete(id);
      this.#emit({ url, error, depth });
    }
    const abandoned = this.#frontier.takeAbandoned();
    for (let i = 0; i < abandoned.length; i += 3) {
      const code = failure === Failure.FORBIDDEN ? error.code : 'host_unavailable';
      const message = `The host was given up: ${error.message}`;
      const from = this.#journeys.get(abandoned[i])?.url ?? abandoned[i + 2];
      this.#emit({ url: from, error: { code, message }, depth: abandoned[i + 1] });
    }
    return again;
  }

  /**
   * Claims the URLs that may be fetched and are selected, until there is no more room.
   * @param {string[]} urls
   * @param {number} depth of their pages
   * @param {(url: string) => number} claim
   */
  async #claim(urls, depth, claim) {
    let turnAtMs = performance.now() + TURN_MS;
    for (const url of urls) {
      if (performance.now() > turnAtMs) {
        await nextTurn();
        if (this.#ended !== undefined) return;
        turnAtMs = performance.now() + TURN_MS;
      }
      if (this.#frontier.claimed(url) || !this.#options.selects(url)) continue;
      const allowed = this.#robots.allows(url);
      const claimed = allowed ? claim(url) : this.#frontier.refuse(url, depth);
      if (claimed === Claim.FULL) {
        this.#dropped = true;
        return;
      }
      if (!allowed && claimed === Claim.NEW) this.#emit({ url, skipped: 'robots', depth });
    }
  }

  /**
   * Reads robots.txt, and queues the first page and sitemap if it allows them.
   * @param {number} id
   */
  async #readRobots(id) {
    const { startUrl, userAgent } = this.#options;
    const outcome = await fetchRobots(this.#fetcher, this.#origin, {
      userAgent,
      onRequest: this.#onRequest,
    });
    if (this.#ended !== undefined) return;
    const refuse = () => this.#emit({ url: startUrl, skipped: 'robots', depth: 0 });
    if ('type' in outcome) {
      const { failure, error, retryAfterMs } = outcome;
      if (this.#frontier.fail(id, failure, retryAfterMs, this.#nowMs())) return;
      if (error.code === 'http_status') refuse();
      else this.#emit({ url: startUrl, error, depth: 0 });
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
      this.#emit({ url: startUrl, skipped: 'duplicate', depth: 0 });
    }
    if (robots !== undefined && this.#options.sitemaps) {
      this.#sitemaps = new SitemapList(this.#origin, this.#robotsUrl, robots);
      for (const url of this.#sitemaps.offSite) this.#emit({ url, skipped: 'off_site', depth: 0 });
      this.#queueSitemap();
    }
    this.#frontier.finish(id, false);
  }

  #queueSitemap() {
    this.#sitemaps?.queueNext((url) => this.#frontier.seed(url, this.#origin) === Claim.NEW);
  }

  /**
   * Claims the pages of a sitemap, with depth 0.
   * @param {number} id
   * @param {string} url
   * @param {number} attempt
   */
  async #readSitemap(id, url, attempt) {
    const options = { bytesMax: SITEMAP_BYTES_MAX, gzip: true, onRequest: this.#onRequest };
    const outcome = await this.#fetcher.file(url, options);
    if (this.#ended !== undefined) return;
    if (outcome.type === 'file' && !outcome.cut) {
      const { bytes } = outcome;
      const found = await readSitemap({ bytes, url, origin: this.#origin });
      if (this.#ended !== undefined) return;
      if (found.cut) this.#dropped = true;
      for (const next of found.sitemaps) this.#sitemaps?.add(next);
      await this.#claim(found.pages, 0, (page) => this.#frontier.seed(page, this.#origin));
      if (this.#ended !== undefined) return;
    }
    // Queue the next one before this one ends, because depth 0 ends with its last sitemap. A retry that
    // fails has already queued it.
    if (attempt === 1 || outcome.type !== 'failed') this.#queueSitemap();
    if (outcome.type === 'failed') {
      this.#fail(id, outcome, { url, depth: 0 });
      return;
    }
    const item = this.#sitemaps?.problemOf(url, outcome);
    if (item !== undefined) this.#emit(item);
    this.#frontier.finish(id, false);
  }

  /** @param {CrawlItem} item */
  #emit(item) {
    if (this.#ended !== undefined) return;
    if (item.error) this.#counts.errors += 1;
    else if (item.skipped) this.#counts.skipped += 1;
    else this.#counts.pages += 1;
    this.#results.push(item);
  }
}
