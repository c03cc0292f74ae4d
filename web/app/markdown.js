/**
 * Markdown in the document, as it streams. Marked parses, DOMPurify removes content that a model must not
 * put into the page. Both are scripts of `vendor/`, loaded before this module.
 *
 * Complete blocks stay unchanged: each update parses only the text of the last block, so the
 * cost of an update does not grow with the answer.
 */

import { build } from './build.js';
import { copyText } from './clipboard.js';

/** @typedef {import('marked').Token} Token */

const { Marked } = /** @type {typeof import('marked')} */ (/** @type {any} */ (globalThis).marked);
const purify = /** @type {import('dompurify').DOMPurify} */ (
  /** @type {any} */ (globalThis).DOMPurify
);

/** Without images, which would be loaded from other servers, forms and styles. */
const ALLOWED = {
  ALLOWED_TAGS: [
    ...['p', 'br', 'hr', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'blockquote', 'ul', 'ol', 'li'],
    ...['pre', 'code', 'strong', 'em', 'del', 'a', 'sub', 'sup', 'kbd', 'details', 'summary'],
    ...['table', 'thead', 'tbody', 'tr', 'th', 'td', 'input'],
  ],
  ALLOWED_ATTR: ['href', 'title', 'align', 'start', 'class', 'type', 'checked', 'disabled'],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|#)/i,
  // Without this list the pattern above applies to these, too.
  ADD_URI_SAFE_ATTR: ['align', 'start', 'type', 'checked', 'disabled'],
  RETURN_DOM_FRAGMENT: /** @type {const} */ (true),
};

/** A definition that a link of an earlier block may use. */
const DEFINITION = /^ {0,3}\[[^\]\n]+\]:/m;

/** The head of a table with an incomplete second line, which is still a paragraph. */
const TABLE_HEAD = /(?:^|\n)\|[^\n]*(?:\n[ \t|:-]*)?$/;

/** @param {string} html @returns {string} as text */
const escape = (html) =>
  html.replace(/[&<>"]/g, (each) => `&#${/** @type {number} */ (each.codePointAt(0))};`);

/** @type {import('marked').RendererObject} */
const renderer = {
  // HTML of a model is shown as text.
  html: ({ text }) => escape(text),
  image: ({ text, href }) => `<a href="${escape(href)}">${escape(text || href)}</a>`,
};
// Tables, tasks and strike-through as on GitHub; single line breaks are kept, as in chats.
const marked = new Marked({ gfm: true, breaks: true, renderer });

/** @param {Token[]} tokens @returns {DocumentFragment} */
function toFragment(tokens) {
  return purify.sanitize(marked.parser(tokens), ALLOWED);
}

/** Copies the text of an element; shows this on the button. @param {HTMLElement} source */
function copyButton(source) {
  const button = build('button', 'code-copy', 'Copy');
  button.setAttribute('type', 'button');
  button.setAttribute('aria-label', 'Copy the code');
  button.addEventListener('click', () => {
    void copyText(source.textContent ?? '').then((copied) => {
      button.textContent = copied ? 'Copied' : 'Not copied';
    });
    setTimeout(() => (button.textContent = 'Copy'), 2000);
  });
  return button;
}

/** Gives code blocks a head and lets wide blocks scroll. @param {DocumentFragment} fragment */
function furnish(fragment) {
  for (const pre of fragment.querySelectorAll('pre')) {
    const code = pre.firstElementChild;
    const [, language = ''] = /(?:^| )language-(\S+)/.exec(code?.className ?? '') ?? [];
    const head = build('div', 'code-head', build('span', 'code-language', language || 'code'));
    const block = build('div', 'code-block');
    pre.replaceWith(block);
    pre.tabIndex = 0;
    head.append(copyButton(pre));
    block.append(head, pre);
  }
  for (const table of fragment.querySelectorAll('table')) {
    const scroller = build('div', 'table-scroll');
    scroller.tabIndex = 0;
    scroller.setAttribute('role', 'group');
    scroller.setAttribute('aria-label', 'Table');
    table.replaceWith(scroller);
    scroller.append(table);
  }
  for (const link of fragment.querySelectorAll('a')) {
    link.target = '_blank';
    link.rel = 'noopener noreferrer';
  }
}

/** One text as Markdown in one element. `set()` draws it; call it at most once per frame. */
export class MarkdownPane {
  #root;
  #shown = '';
  /** The length of the text whose blocks have ended. */
  #ended = 0;
  /** @type {ChildNode[]} the nodes of the last block */
  #last = [];

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
  }

  /** @param {string} text @param {boolean} [live] whether more of it may follow */
  set(text, live = false) {
    if (text === this.#shown && live) return;
    // A complete text is parsed as a whole, because links may be defined after their use.
    const whole = !live && DEFINITION.test(text);
    if (whole || !text.startsWith(this.#shown)) this.#clear();
    this.#shown = text;
    const tokens = marked.lexer(text.slice(this.#ended));
    // The last block may still change, and so may the blank lines after the previous one.
    const open = tokens.findLastIndex((each) => each.type !== 'space');
    const closed = live && !whole ? tokens.slice(0, Math.max(0, open)) : [];
    const last = tokens[open];
    if (live && last?.type === 'paragraph' && TABLE_HEAD.test(last.raw)) {
      tokens.splice(open, Infinity, ...marked.lexer(last.raw.replace(TABLE_HEAD, '')));
    }
    for (const node of this.#last) node.remove();
    if (closed.length > 0) this.#append(closed);
    this.#ended += closed.reduce((sum, { raw }) => sum + raw.length, 0);
    this.#last = this.#append(tokens.slice(closed.length));
  }

  /** @param {Token[]} tokens @returns {ChildNode[]} */
  #append(tokens) {
    const fragment = toFragment(tokens);
    furnish(fragment);
    const nodes = [...fragment.childNodes];
    this.#root.append(fragment);
    return nodes;
  }

  #clear() {
    this.#root.replaceChildren();
    this.#last = [];
    this.#ended = 0;
  }
}
