/** The items of a `map`: from the output of the node it maps over, and their text. Pure functions. */

/** A list in a Markdown code block. */
const FENCE = /^```\w*\r?\n([\s\S]*?)\r?\n```$/;

/** Markers of list items: `- `, `* `, `1. `, `2) `. */
const MARKER = /^(?:[-*\u2022]|\d{1,4}[.)])\s+/;

/**
 * @param {string} text
 * @returns {unknown[]} the elements of a JSON array; else the non-empty lines without their list
 *   markers
 */
function itemsOfText(text) {
  const trimmed = text.trim();
  const inner = FENCE.exec(trimmed)?.[1] ?? trimmed;
  if (inner.startsWith('[')) {
    try {
      const parsed = JSON.parse(inner);
      if (Array.isArray(parsed)) return parsed;
    } catch {
      // Lines that begin with a bracket, not JSON.
    }
  }
  return inner
    .split(/\r\n|\r|\n/)
    .map((line) => line.trim().replace(MARKER, ''))
    .filter((line) => line !== '');
}

/**
 * @param {import('./node-state.js').NodeOutput | undefined} output of the node mapped over
 * @returns {unknown[]} the pages of a crawl, the texts of another map, or the list in a text
 */
export function itemsOf(output) {
  if (output === undefined) return [];
  return output.items ?? itemsOfText(output.text);
}

/** @param {unknown} value */
function asText(value) {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/**
 * @param {unknown} item
 * @param {string} [field] of the item; default: the whole item
 * @returns {string} the field as text, '' if the item lacks it. A whole item is its own text if it is
 *   a string, its field `text` if that is one, else its JSON
 */
export function itemText(item, field) {
  if (typeof item !== 'object' || item === null) return field === undefined ? asText(item) : '';
  const fields = new Map(Object.entries(item));
  if (field !== undefined) return asText(fields.get(field));
  const text = fields.get('text');
  return typeof text === 'string' ? text : asText(item);
}
