/** Texts without their Markdown, for titles. Pure functions. */

import { excerpt } from './format.js';

const TITLE_MAX = 60;

/** @type {[pattern: RegExp, replacement: string][]} in order */
const MARKS = [
  [/^ {0,3}(?:`{3,}|~{3,})[^\n]*$/gm, ''], // the fences of code
  [/!?\[([^\]\n]*)\]\([^)\n]*\)/g, '$1'], // links and images
  [/^ {0,3}(?:#{1,6}|>|[-*+]|\d+[.)])[ \t]+/gm, ''], // headings, quotations, lists
  [/(\*\*|__|~~)(?=\S)([^\n]*?\S)\1/g, '$2'],
  [/(?<![\p{L}\d*_])([*_])(?=[^\s*_])([^\n]*?[^\s*_])\1(?![\p{L}\d*_])/gu, '$2'],
  [/`+([^`\n]+)`+/g, '$1'],
  [/\|/g, ' '],
];

/** @param {string} text @returns {string} one line */
export function plainText(text) {
  const plain = MARKS.reduce(
    (rest, [pattern, replacement]) => rest.replace(pattern, replacement),
    text,
  );
  return plain.trim().replace(/\s+/g, ' ');
}

/** @param {string} prompt @returns {string} the title of a conversation that begins with it */
export function titleOf(prompt) {
  return excerpt(plainText(prompt) || prompt, TITLE_MAX);
}
