/** Fetches a site's robots.txt (RFC 9309, section 2.3). */
import { parseRobots } from './robots-rules.js';

/** @typedef {import('./robots-rules.js').RobotsRules} RobotsRules */

/** RFC 9309 requires at least 500 KiB; the rest is not read. */
const ROBOTS_BYTES_MAX = 500 * 1024;

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
 * Fetches the file. A missing one (4xx, or a redirect to another site) allows everything; an
 * unreachable or unreadable one allows nothing (RFC 9309, section 2.3.1).
 * @param {import('./fetch.js').Fetcher} fetcher
 * @param {string} origin
 * @param {{userAgent: string, onRequest: () => void}} options `onRequest` is called before each
 *   request
 * @returns {Promise<{robots: RobotsRules | undefined} |
 *   Extract<import('./fetch.js').Outcome, {type: 'failed'}>>} `robots` undefined: nothing may be
 *   fetched; a failure may be temporary
 */
export async function fetchRobots(fetcher, origin, { userAgent, onRequest }) {
  const options = { bytesMax: ROBOTS_BYTES_MAX, onRequest };
  const outcome = await fetcher.file(robotsUrlOf(origin), options);
  if (outcome.type === 'failed') return outcome;
  if (outcome.type === 'file') return { robots: await parseRobots(outcome.bytes, userAgent) };
  const missing =
    outcome.type === 'redirect' ||
    (outcome.type === 'error' && outcome.error.code === 'http_status');
  return { robots: missing ? ALLOW_ALL : undefined };
}
