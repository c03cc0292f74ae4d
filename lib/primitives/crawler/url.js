/** URLs of a crawl: one spelling per page, and the test for links of the site. Pure functions. */

/** Longer URLs are not followed: they usually come from endless link traps. */
export const URL_LENGTH_MAX = 2048;
/** Longer references are not resolved, although some of them might resolve to a shorter URL. */
export const HREF_LENGTH_MAX = 2 * URL_LENGTH_MAX;

/**
 * One spelling for all URLs of a page: that of the URL standard, without a fragment or an empty
 * query, with percent-encoding in capitals. The query is unchanged.
 * @param {URL} url
 * @returns {string}
 */
export function canonical(url) {
  const copy = new URL(url);
  copy.hash = '';
  // An empty query leaves a question mark.
  if (copy.search === '') copy.search = '';
  return copy.href.replace(/%[0-9a-f]{2}/gi, (escape) => escape.toUpperCase());
}

/**
 * Resolves a link to the URL of a page, or returns the reason why it is not followed. `other` is any scheme except
 * http and https, and text that is not a URL. A URL with credentials is `off_site`.
 * @param {string} href as written
 * @param {string | URL} base
 * @param {string} origin of the site
 * @returns {{url: string} | {refused: 'other' | 'off_site' | 'too_long'}}
 */
export function resolveLink(href, base, origin) {
  if (!URL.canParse(href, base)) return { refused: 'other' };
  const url = new URL(href, base);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return { refused: 'other' };
  if (url.origin !== origin || url.username !== '' || url.password !== '') {
    return { refused: 'off_site' };
  }
  const spelled = canonical(url);
  return spelled.length > URL_LENGTH_MAX ? { refused: 'too_long' } : { url: spelled };
}
