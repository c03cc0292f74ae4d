/** What a site's robots.txt allows (RFC 9309), and how to come by it. */
import robotsParser from 'robots-parser';
import { resolveLink } from './url.js';

/** RFC 9309 asks for 500 KiB at least; what lies beyond is not read. */
const kRobotsBytesMax = 500 * 1024;
/** RFC 9309 asks for five at least. */
const kRedirectsMax = 5;
const kCrawlDelaySMax = 30;

/**
 * A bound on the work of one check, some 20 ms: behind an asterisk, each character of a pattern may be
 * compared with each of the URL. Ten thousand such characters are within it for URLs of 400.
 */
const kComparisonsMax = 4_000_000;

/**
 * @typedef {object} Robots
 * @property {(url: string) => boolean} allows
 * @property {number} delayMs between two requests, as the site wants it; 0 to 30 s
 */

/** @type {Robots} */
export const kAllowAll = { allows: () => true, delayMs: 0 };

/**
 * @param {string} url of the file
 * @param {string} text
 * @param {string} userAgent its product token is what stands before the first `/`
 * @returns {Robots} what is made to keep its reader busy forbids
 */
export function parseRobots(url, text, userAgent) {
  const wild = text.match(/\*[^\r\n#]*/g) ?? [];
  const wildChars = wild.reduce((sum, part) => sum + part.length - 1, 0);
  const product = /^[a-z_-]*/i.exec(userAgent)?.[0] || '*';
  // Its type declarations do not say that it is the module itself.
  const robots = /** @type {any} */ (robotsParser)(url, text);
  const delayS = Number(robots.getCrawlDelay(product) ?? 0);
  return {
    allows: (target) =>
      wildChars * target.length <= kComparisonsMax && robots.isAllowed(target, product) !== false,
    delayMs: delayS > 0 ? Math.min(delayS, kCrawlDelaySMax) * 1000 : 0,
  };
}

/**
 * @param {string} origin
 * @returns {string}
 */
export function robotsUrlOf(origin) {
  return `${origin}/robots.txt`;
}

/**
 * Fetches the file, from where the site's own redirects lead. A site that has none (4xx, or a
 * redirect to another site) lets everybody in; one whose file cannot be had lets in nobody (2.3.1).
 * @param {import('./fetch.js').Fetcher} fetcher
 * @param {string} origin
 * @param {{userAgent: string, onRequest: () => void}} options `onRequest` is called before each
 *   request
 * @returns {Promise<{robots: Robots | undefined} |
 *   Extract<import('./fetch.js').Outcome, {type: 'failed'}>>} no robots: nobody is let in; a failure
 *   may pass
 */
export async function fetchRobots(fetcher, origin, { userAgent, onRequest }) {
  let url = robotsUrlOf(origin);
  for (let hops = 0; ; hops += 1) {
    onRequest();
    const outcome = await fetcher.text(url, kRobotsBytesMax);
    if (outcome.type === 'failed') return outcome;
    if (outcome.type === 'text') {
      return { robots: parseRobots(robotsUrlOf(origin), outcome.text, userAgent) };
    }
    if (outcome.type === 'redirect') {
      const target = resolveLink(outcome.location, url, origin);
      if ('refused' in target || hops === kRedirectsMax) return { robots: kAllowAll };
      url = target.url;
    } else {
      const absent = outcome.type === 'error' && outcome.error.code === 'http_status';
      return { robots: absent ? kAllowAll : undefined };
    }
  }
}
