/**
 * A page from the bytes of an answer: text, title and links. Runs on the main thread for short
 * pages, else in the worker (page-worker.js). No state.
 */
import { sniffType, textOf } from './content.js';
import { extract } from './html.js';
import { URL_LENGTH_MAX, resolveLink } from './url.js';

const HTML = new Set(['text/html', 'application/xhtml+xml']);

/**
 * @typedef {object} Page
 * @property {string} title
 * @property {string} text a line per block, white space collapsed
 * @property {string[]} links URLs of pages of the same site, without duplicates; none if the page has
 *   `nofollow`
 */

/**
 * @typedef {object} PageSource
 * @property {Uint8Array} bytes
 * @property {string} type media type; '': detected from the first bytes
 * @property {string | undefined} charset of the content-type
 * @property {string} url of the page
 * @property {string} origin of the site
 */

/**
 * @param {PageSource} source
 * @returns {Promise<Page | undefined>} undefined: the bytes are not text
 */
export async function readPage({ bytes, type: declared, charset, url, origin }) {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const type = declared || sniffType(buffer);
  if (type === '') return undefined;
  const content = textOf(buffer, charset);
  if (!HTML.has(type)) {
    return { title: '', text: content.replaceAll(/\r\n?/g, '\n').trim(), links: [] };
  }
  const extracted = await extract(content, { xml: type === 'application/xhtml+xml' });
  const { title, text, links, base, follow } = extracted;
  return { title, text, links: follow ? resolved(links, url, base, origin) : [] };
}

/**
 * @param {string[]} hrefs
 * @param {string} url
 * @param {string | undefined} base
 * @param {string} origin
 */
function resolved(hrefs, url, base, origin) {
  const from = base !== undefined && URL.canParse(base, url) ? new URL(base, url).href : url;
  // The cost of each link would grow with the length of the base.
  if (from.length > URL_LENGTH_MAX) return [];
  const urls = new Set();
  for (const href of hrefs) {
    const link = resolveLink(href, from, origin);
    if ('url' in link) urls.add(link.url);
  }
  return [...urls];
}
