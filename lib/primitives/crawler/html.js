/**
 * Title, visible text and links of an HTML page.
 *
 * Reads parse5's tokens and builds no tree: time and memory depend only on the length of the page,
 * not on its nesting. Style sheets are ignored: the result includes text that they hide.
 */
import { Tokenizer, TokenizerMode } from 'parse5';
import { forbidsFollowing } from './robots-rules.js';
import { nextTurn } from './turns.js';
import { HREF_LENGTH_MAX } from './url.js';

/**
 * @typedef {object} Extract
 * @property {string} title
 * @property {string} text a line per block, white space collapsed
 * @property {string[]} links as written, without duplicates; at most 5000
 * @property {string | undefined} base `<base href>` as written
 * @property {boolean} follow false: the page forbids to follow its links
 */

/** Characters handed to the tokenizer before other events get a turn. */
const SLICE_LENGTH = 64 * 1024;
const LINKS_MAX = 5000;
/** Elements without text of the page. */
const HIDDEN = new Set(
  'audio canvas iframe noembed noframes noscript script style svg template video'.split(' '),
);
/** Elements that begin and end a line. */
const BLOCKS = new Set(
  (
    'address article aside blockquote body br button caption center dd details dialog dir div dl ' +
    'dt fieldset figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 header hgroup hr html ' +
    'legend li listing main menu nav ol optgroup option p plaintext pre search section select ' +
    'summary table tbody tfoot thead tr ul xmp'
  ).split(' '),
);
/** Elements that are separated by a space from the text around them. */
const CELLS = new Set('audio canvas iframe img input svg td textarea th video'.split(' '));

/**
 * The tokenizer state for the content of an element. parse5's tree builder would set it.
 * @type {Record<string, number>}
 */
const MODES = {
  title: TokenizerMode.RCDATA,
  textarea: TokenizerMode.RCDATA,
  style: TokenizerMode.RAWTEXT,
  xmp: TokenizerMode.RAWTEXT,
  iframe: TokenizerMode.RAWTEXT,
  noembed: TokenizerMode.RAWTEXT,
  noframes: TokenizerMode.RAWTEXT,
  script: TokenizerMode.SCRIPT_DATA,
  plaintext: TokenizerMode.PLAINTEXT,
};

/** @typedef {import('parse5').Token.TagToken} TagToken */
/** @typedef {import('parse5').Token.CharacterToken} CharacterToken */

/** Collects text and collapses its white space, in one pass. */
class TextCollector {
  /** @type {string[]} */
  #pieces = [];
  #gap = ''; // Separates the next piece from the one before.

  /** @param {string} chars */
  add(chars) {
    const text = chars.replace(/[\t\n\f\r \u00a0]+/g, ' ');
    const words = text.trim();
    if (words === '') {
      this.space();
      return;
    }
    if (text.startsWith(' ')) this.space();
    if (this.#pieces.length > 0) this.#pieces.push(this.#gap);
    this.#pieces.push(words);
    this.#gap = text.endsWith(' ') ? ' ' : '';
  }

  space() {
    if (this.#gap === '') this.#gap = ' ';
  }

  line() {
    this.#gap = '\n';
  }

  toString() {
    return this.#pieces.join('');
  }
}

/** Handler of parse5's tokens. */
class Extractor {
  /** @type {Tokenizer | undefined} */
  tokenizer;
  text = new TextCollector();
  /** @type {Set<string>} */
  links = new Set();
  /** @type {string | undefined} */
  base;
  follow = true;
  #xml;
  #title = new TextCollector();
  #titles = 0;
  #inTitle = false;
  /** The outermost open hidden element, and the number of open elements of its name. */
  #hidden = '';
  #hiddenDepth = 0;

  /** @param {boolean} xml XHTML: `<script/>` is an empty element */
  constructor(xml) {
    this.#xml = xml;
  }

  get title() {
    return String(this.#title);
  }

  /** @param {TagToken} token */
  onStartTag(token) {
    const { tagName: name } = token;
    // In XML, and inside SVG, a slash ends an element; in HTML it has no meaning.
    const empty = token.selfClosing && (this.#xml || this.#hidden === 'svg' || name === 'svg');
    if (!empty && Object.hasOwn(MODES, name) && this.#hidden !== 'svg') {
      /** @type {any} */ (this.tokenizer).state = MODES[name];
    }
    if (this.#hidden !== '') {
      if (name === this.#hidden && !empty) this.#hiddenDepth += 1;
      // A <noscript> left open in the head ends with it.
      else if (name === 'body' && this.#hidden === 'noscript') this.#hidden = '';
      return;
    }
    if (empty && (HIDDEN.has(name) || name === 'title')) return;
    if (HIDDEN.has(name)) {
      this.#hidden = name;
      this.#hiddenDepth = 1;
      this.#separate(name);
      return;
    }
    if (name === 'title') {
      this.#inTitle = true;
      this.#titles += 1;
    }
    this.#separate(name);
    this.#readAttributes(name, token);
  }

  /** @param {TagToken} token */
  onEndTag({ tagName: name }) {
    if (this.#hidden !== '') {
      if (name === this.#hidden && --this.#hiddenDepth === 0) this.#hidden = '';
      return;
    }
    if (name === 'title') this.#inTitle = false;
    this.#separate(name);
  }

  /** @param {CharacterToken} token */
  onCharacter({ chars }) {
    if (this.#hidden !== '') return;
    if (!this.#inTitle) this.text.add(chars);
    else if (this.#titles === 1) this.#title.add(chars);
  }

  /** @param {CharacterToken} token */
  onWhitespaceCharacter(token) {
    this.onCharacter(token);
  }

  onNullCharacter() {}
  onComment() {}
  onDoctype() {}
  onEof() {}

  /** @param {string} name */
  #separate(name) {
    if (BLOCKS.has(name)) this.text.line();
    else if (CELLS.has(name)) this.text.space();
  }

  /**
   * @param {string} name
   * @param {TagToken} token
   */
  #readAttributes(name, { attrs }) {
    if (name !== 'a' && name !== 'area' && name !== 'base' && name !== 'meta') return;
    const value = (/** @type {string} */ wanted) =>
      attrs.find((attribute) => attribute.name === wanted)?.value;
    const href = value('href');
    if (name === 'meta') {
      const robots = value('name')?.trim().toLowerCase() === 'robots';
      if (robots && forbidsFollowing(value('content') ?? '')) this.follow = false;
    } else if (href === undefined) {
      return;
    } else if (name === 'base') {
      this.base ??= href;
    } else if (href.length > HREF_LENGTH_MAX) {
      return;
    } else if (this.links.size < LINKS_MAX && !/(^|\s)nofollow(\s|$)/i.test(value('rel') ?? '')) {
      this.links.add(href);
    }
  }
}

/**
 * @param {string} html
 * @param {{xml?: boolean}} [options]
 * @returns {Promise<Extract>}
 */
export async function extract(html, { xml = false } = {}) {
  const extractor = new Extractor(xml);
  const tokenizer = new Tokenizer({}, extractor);
  extractor.tokenizer = tokenizer;
  for (let at = 0; at < html.length; at += SLICE_LENGTH) {
    if (at > 0) await nextTurn();
    tokenizer.write(html.slice(at, at + SLICE_LENGTH), at + SLICE_LENGTH >= html.length);
  }
  const { text, title, links, base, follow } = extractor;
  return { title, text: String(text), links: [...links], base, follow };
}
