/**
 * Lists in what nodes give: what a `map` runs over, and what its prompt says of an item. Pure.
 */

/** A list that a model has put into a code block. */
const kFence = /^```\w*\r?\n([\s\S]*?)\r?\n```$/;

/** What people and models write before the items of a list: `- `, `* `, `1. `, `2) `. */
const kMarker = /^(?:[-*\u2022]|\d{1,4}[.)])\s+/;

/**
 * @param {string} text
 * @returns {unknown[]} the elements of a JSON array; else the lines that are not empty, without
 *   their list markers
 */
function itemsOfText(text) {
  const trimmed = text.trim();
  const inner = kFence.exec(trimmed)?.[1] ?? trimmed;
  if (inner.startsWith('[')) {
    try {
      const parsed = JSON.parse(inner);
      if (Array.isArray(parsed)) return parsed;
    } catch {
      // Not JSON: a line that begins with a bracket.
    }
  }
  return inner
    .split(/\r\n|\r|\n/)
    .map((line) => line.trim().replace(kMarker, ''))
    .filter((line) => line !== '');
}

/**
 * @param {import('./node-state.js').NodeOutput | undefined} output of the node mapped over
 * @returns {unknown[]} a crawl's pages, another map's texts, or the list that a text is
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
 * @param {string} [field] empty text when the item has none of that name
 * @returns {string} of the whole item: itself, or the `text` that it has, or its JSON
 */
export function itemText(item, field) {
  if (typeof item !== 'object' || item === null) return field === undefined ? asText(item) : '';
  const fields = new Map(Object.entries(item));
  if (field !== undefined) return asText(fields.get(field));
  const text = fields.get('text');
  return typeof text === 'string' ? text : asText(item);
}
