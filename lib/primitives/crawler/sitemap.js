/**
 * URLs from a sitemap: XML (sitemaps.org, sitemap indexes included) or a text file with a URL on
 * each line. No state.
 */
import { Tokenizer } from 'parse5';
import { textOf } from './content.js';
import { nextTurn } from './turns.js';
import { HREF_LENGTH_MAX, resolveLink } from './url.js';

/** The limit of the sitemap protocol for one file; further entries are omitted. */
const ENTRIES_MAX = 50_000;
/** Characters handed to the tokenizer before other events get a turn. */
const SLICE_LENGTH = 64 * 1024;

/**
 * @typedef {object} Sitemap
 * @property {string[]} pages URLs of pages of the same site, without duplicates
 * @property {string[]} sitemaps further sitemaps of the same site, without duplicates
 * @property {boolean} cut whether entries were omitted
 */

/** Collects the text of each `<loc>` in a `<url>` or `<sitemap>`. Called by parse5's tokenizer. */
class LocationCollector {
  /** @type {Set<string>} */
  pages = new Set();
  /** @type {Set<string>} */
  sitemaps = new Set();
  cut = false;
  /** @type {Set<string> | undefined} of the entry that the tokenizer is in */
  #entries;
  /** @type {string | undefined} */
  #location;

  /** @param {import('parse5').Token.TagToken} token */
  onStartTag({ tagName: name }) {
    if (name === 'url') this.#entries = this.pages;
    else if (name === 'sitemap') this.#entries = this.sitemaps;
    else if (name === 'loc') this.#location = '';
  }

  /** @param {import('parse5').Token.TagToken} token */
  onEndTag({ tagName: name }) {
    if (name !== 'loc' || this.#location === undefined) return;
    const location = this.#location.trim();
    this.#location = undefined;
    if (this.pages.size + this.sitemaps.size >= ENTRIES_MAX) this.cut = true;
    else if (location.length <= HREF_LENGTH_MAX) this.#entries?.add(location);
  }

  /** @param {import('parse5').Token.CharacterToken} token */
  onCharacter({ chars }) {
    // One character more than the limit marks it as too long.
    if (this.#location !== undefined && this.#location.length <= HREF_LENGTH_MAX) {
      this.#location += chars.slice(0, 2 * HREF_LENGTH_MAX);
    }
  }

  onWhitespaceCharacter() {}
  onNullCharacter() {}
  onComment() {}
  onDoctype() {}
  onEof() {}
}

/**
 * @param {{bytes: Uint8Array, url: string, origin: string}} source `url` of the sitemap, `origin`
 *   of the site
 * @returns {Promise<Sitemap>} empty for content that is not a sitemap
 */
export async function readSitemap({ bytes, url, origin }) {
  const text = textOf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), undefined);
  const found = new LocationCollector();
  if (/^\s*</.test(text.slice(0, 1024))) {
    const tokenizer = new Tokenizer({}, found);
    tokenizer.inForeignNode = true; // CDATA is text.
    for (let at = 0; at < text.length; at += SLICE_LENGTH) {
      if (at > 0) await nextTurn();
      tokenizer.write(text.slice(at, at + SLICE_LENGTH), at + SLICE_LENGTH >= text.length);
    }
  } else {
    const lines = text.split(/[\r\n]+/, ENTRIES_MAX + 1);
    found.cut = lines.length > ENTRIES_MAX;
    // A relative reference in a text file is probably a line of other text.
    for (const line of lines) if (/^\s*https?:/i.test(line)) found.pages.add(line.trim());
  }
  const onSite = (/** @type {Set<string>} */ locations) => {
    const links = [...locations].map((location) => resolveLink(location, url, origin));
    return [...new Set(links.flatMap((link) => ('url' in link ? [link.url] : [])))];
  };
  return { pages: onSite(found.pages), sitemaps: onSite(found.sitemaps), cut: found.cut };
}
