/** The sitemap files of a crawl. */
import { resolveLink } from './url.js';

/** More files than this are not read. */
const SITEMAPS_MAX = 100;

/**
 * Sitemap files that are known and those still to be read, one after another: those that robots.txt
 * names, those that sitemap indexes name, and `/sitemap.xml` where robots.txt names none.
 */
export class SitemapList {
  /** Files on other sites, as robots.txt names them. @type {string[]} */
  offSite = [];
  /** Whether files were left out. */
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
   * @param {string} url of a file that has been requested
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

  /** Whether files have not been read. */
  get more() {
    return this.cut || this.#waiting.length > 0;
  }

  /**
   * Queues the next file. A URL that is a page of the crawl already stays one.
   * @param {(url: string) => boolean} queue false: it is known
   */
  queueNext(queue) {
    let url = this.#waiting.shift();
    while (url !== undefined && !queue(url)) {
      this.#known.delete(url);
      url = this.#waiting.shift();
    }
  }
}
