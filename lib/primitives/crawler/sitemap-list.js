/** The sitemap files of a crawl. */
import { resolveLink } from './url.js';

/** Maximum number of files to read. */
const SITEMAPS_MAX = 100;

/**
 * Known sitemap files, and the queue of files to read one after another: the files listed in robots.txt and
 * in sitemap indexes, and `/sitemap.xml` if robots.txt lists none.
 */
export class SitemapList {
  /** Files on other sites, as written in robots.txt. @type {string[]} */
  offSite = [];
  /** Whether files were omitted. */
  cut = false;
  /** @type {Set<string>} */
  #known = new Set();
  /** @type {string[]} */
  #waiting = [];
  /** @type {string | undefined} */
  #guess;

  /**
   * @param {string} origin
   * @param {string} robotsUrl
   * @param {import('./robots-rules.js').RobotsRules} robots
   */
  constructor(origin, robotsUrl, { sitemaps, allows }) {
    for (const location of sitemaps) {
      const link = resolveLink(location, robotsUrl, origin);
      if ('url' in link) this.add(link.url);
      else if (link.refused === 'off_site') this.offSite.push(location);
    }
    const usual = `${origin}/sitemap.xml`;
    if (sitemaps.length > 0 || !allows(usual)) return;
    this.#guess = usual;
    this.add(usual);
  }

  /** @param {string} url */
  add(url) {
    if (this.#known.has(url)) return;
    if (this.#known.size >= SITEMAPS_MAX) {
      this.cut = true;
      return;
    }
    this.#known.add(url);
    this.#waiting.push(url);
  }

  /** @param {string} url */
  has(url) {
    return this.#known.has(url);
  }

  /**
   * @param {string} url of a requested file
   * @param {{type: string, cut?: boolean, location?: string, error?: import('./items.js').CrawlError}}
   *   outcome
   * @returns {import('./items.js').CrawlItem | undefined} undefined: the file was read, or need not exist
   */
  problemOf(url, { type, cut, location, error }) {
    if (type === 'redirect') return { url, skipped: 'off_site', depth: 0, location };
    if (cut) return { url, skipped: 'too_large', depth: 0 };
    if (error === undefined || url === this.#guess) return undefined;
    return { url, error, depth: 0 };
  }

  /** Whether there are unread files. */
  get more() {
    return this.cut || this.#waiting.length > 0;
  }

  /**
   * Queues the next file. A URL that is already a page of the crawl stays a page.
   * @param {(url: string) => boolean} queue false: the file is already known
   */
  queueNext(queue) {
    let url = this.#waiting.shift();
    while (url !== undefined && !queue(url)) {
      this.#known.delete(url);
      url = this.#waiting.shift();
    }
  }
}
