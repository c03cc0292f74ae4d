/**
 * Title, visible text and links of an HTML page.
 *
 * Works on parse5's tokens and builds no tree: time and memory grow with the length of the page
 * alone, however it is nested, and a page made to be hostile costs no more than a long one. What
 * style sheets hide is not known here.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { Tokenizer, TokenizerMode } from 'parse5';

/**
 * @typedef {object} Extract
 * @property {string} title
 * @property {string} text a line per block, white space collapsed
 * @property {string[]} links as written, each once
 * @property {string | undefined} base `<base href>` as written
 * @property {boolean} follow false: the page asks that its links be left alone
 */

/** Characters handed to the tokenizer before others get a turn: some milliseconds' work. */
const kSliceLength = 64 * 1024;
const kLinksMax = 5000;

/** Their content is no text of the page. */
const kHidden = new Set(
  'audio canvas iframe noembed noframes noscript script style svg template video'.split(' '),
);
/** They begin and end a line. */
const kBlocks = new Set(
  (
    'address article aside blockquote body br button caption center dd details dialog dir div dl ' +
    'dt fieldset figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 header hgroup hr html ' +
    'legend li listing main menu nav ol optgroup option p plaintext pre search section select ' +
    'summary table tbody tfoot thead tr ul xmp'
  ).split(' '),
);
/** They stand apart within a line. */
const kCells = new Set('audio canvas iframe img input svg td textarea th video'.split(' '));

/**
 * How the tokenizer has to read the content of an element, which the tree builder would tell it.
 * @type {Record<string, number>}
 */
const kModes = {
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

/** Collects text with its white space collapsed, in one pass. */
class TextCollector {
  /** @type {string[]} */
  #pieces = [];
  #gap = ''; // What separates the next piece from the one before.

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

/** What parse5's tokenizer calls. */
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
  /** The hidden element we are in, and how many of its name. */
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
    // In XML, and inside of SVG, a slash ends an element; in HTML it means nothing.
    const empty = token.selfClosing && (this.#xml || this.#hidden === 'svg' || name === 'svg');
    if (!empty && Object.hasOwn(kModes, name) && this.#hidden !== 'svg') {
      /** @type {any} */ (this.tokenizer).state = kModes[name];
    }
    if (this.#hidden !== '') {
      if (name === this.#hidden && !empty) this.#hiddenDepth += 1;
      // A <noscript> left open in the head ends with it.
      else if (name === 'body' && this.#hidden === 'noscript') this.#hidden = '';
      return;
    }
    if (empty && (kHidden.has(name) || name === 'title')) return;
    if (kHidden.has(name)) {
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
    if (kBlocks.has(name)) this.text.line();
    else if (kCells.has(name)) this.text.space();
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
      if (robots && asksNotToFollow(value('content') ?? '')) this.follow = false;
    } else if (href === undefined) {
      return;
    } else if (name === 'base') {
      this.base ??= href;
    } else if (this.links.size < kLinksMax && !/(^|\s)nofollow(\s|$)/i.test(value('rel') ?? '')) {
      this.links.add(href);
    }
  }
}

/**
 * @param {string} directives of a robots meta element or an X-Robots-Tag header
 * @returns {boolean}
 */
export function asksNotToFollow(directives) {
  const names = directives.toLowerCase().split(/[\s,]+/);
  return names.includes('nofollow') || names.includes('none');
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
  for (let at = 0; at < html.length; at += kSliceLength) {
    if (at > 0) await turn();
    tokenizer.write(html.slice(at, at + kSliceLength), at + kSliceLength >= html.length);
  }
  const { text, title, links, base, follow } = extractor;
  return { title, text: String(text), links: [...links], base, follow };
}
