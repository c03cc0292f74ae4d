/**
 * URLs as a crawl knows them: one spelling for each page, and which links belong to the site. Pure.
 */

/** Longer ones are not followed: they are no page's address, but a trap that grows. */
export const kUrlLengthMax = 2048;

/**
 * One spelling for what is one page: as the URL standard writes it, without a fragment or an empty
 * query, percent-encoding in capitals. The query is kept as it is.
 * @param {URL} url
 * @returns {string}
 */
export function canonical(url) {
  const copy = new URL(url);
  copy.hash = '';
  // An empty query leaves its question mark behind.
  if (copy.search === '') copy.search = '';
  return copy.href.replace(/%[0-9a-f]{2}/gi, (escape) => escape.toUpperCase());
}

/**
 * Where a link leads: a page's URL, or why it is not followed. `mailto:` and the like, and what is
 * no URL at all, are `other`; a URL that carries credentials is nobody's page, whatever its host.
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
  return spelled.length > kUrlLengthMax ? { refused: 'too_long' } : { url: spelled };
}
