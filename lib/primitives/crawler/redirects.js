/** Resolves the target of a page's redirect. Pure functions. */
import { resolveLink } from './url.js';

const REDIRECTS_MAX = 10;

/**
 * A URL with its redirects so far.
 * @typedef {{url: string, hops: Set<string>}} Journey `url` is the original link, `hops` are the
 *   URLs so far
 */

/**
 * @param {import('./items.js').CrawlErrorCode} code
 * @param {string} message
 */
function fault(code, message) {
  return { outcome: { error: { code, message } } };
}

/**
 * @param {Journey} journey
 * @param {string} location as sent by the server
 * @param {object} rules
 * @param {string} rules.base URL that the redirect came from
 * @param {string} rules.origin of the site
 * @param {(url: string) => boolean} rules.allows by robots.txt
 * @param {(url: string) => boolean} rules.selects by `include` and `exclude`
 * @returns {{target: string} | {outcome: {error: import('./items.js').CrawlError} |
 *   {skipped: 'off_site' | 'robots' | 'excluded', location: string}}}
 */
export function followRedirect({ hops }, location, { base, origin, allows, selects }) {
  const target = resolveLink(location, base, origin);
  if ('refused' in target) {
    if (target.refused === 'off_site') return { outcome: { skipped: 'off_site', location } };
    return fault('bad_redirect', 'The page redirects to an address that is not valid for a page');
  }
  const { url } = target;
  if (hops.has(url)) return fault('redirect_loop', 'The page redirects in a loop');
  if (hops.size > REDIRECTS_MAX) {
    return fault('too_many_redirects', `The page redirects more than ${REDIRECTS_MAX} times`);
  }
  if (!selects(url)) return { outcome: { skipped: 'excluded', location } };
  if (!allows(url)) return { outcome: { skipped: 'robots', location } };
  return { target: url };
}
