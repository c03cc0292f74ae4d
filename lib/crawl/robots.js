/** Fetches a site's robots.txt (RFC 9309, section 2.3). */
import { parseRobots } from './robots-rules.js';
import { resolveLink } from './url.js';

/** @typedef {import('./robots-rules.js').RobotsRules} RobotsRules */

/** RFC 9309 asks for 500 KiB at least; what lies beyond is not read. */
const ROBOTS_BYTES_MAX = 500 * 1024;
/** RFC 9309 asks for five at least. */
const REDIRECTS_MAX = 5;

/** @type {RobotsRules} */
export const ALLOW_ALL = { allows: () => true, delayMs: 0, sitemaps: [] };

/**
 * @param {string} origin
 * @returns {string}
 */
export function robotsUrlOf(origin) {
  return `${origin}/robots.txt`;
}

/**
 * Fetches the file and follows redirects within the site. A missing file (4xx, or a redirect to
 * another site) allows everything; an unreachable or unreadable one allows nothing (RFC 9309, 2.3.1).
 * @param {import('./fetch.js').Fetcher} fetcher
 * @param {string} origin
 * @param {{userAgent: string, onRequest: () => void}} options `onRequest` is called before each
 *   request
 * @returns {Promise<{robots: RobotsRules | undefined} |
 *   Extract<import('./fetch.js').Outcome, {type: 'failed'}>>} `robots` undefined: nothing may be
 *   fetched; a failure may be temporary
 */
export async function fetchRobots(fetcher, origin, { userAgent, onRequest }) {
  let url = robotsUrlOf(origin);
  for (let hops = 0; ; hops += 1) {
    onRequest();
    const outcome = await fetcher.file(url, ROBOTS_BYTES_MAX);
    if (outcome.type === 'failed') return outcome;
    if (outcome.type === 'file') {
      return { robots: await parseRobots(outcome.bytes, userAgent) };
    }
    if (outcome.type === 'redirect') {
      const target = resolveLink(outcome.location, url, origin);
      if ('refused' in target || hops === REDIRECTS_MAX) return { robots: ALLOW_ALL };
      url = target.url;
    } else {
      const absent = outcome.type === 'error' && outcome.error.code === 'http_status';
      return { robots: absent ? ALLOW_ALL : undefined };
    }
  }
}
