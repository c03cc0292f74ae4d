/** The arguments of a tool call for the page. Pure functions. */

/** @param {string} json @returns {{value: unknown} | null} null: not valid JSON */
function parse(json) {
  try {
    return { value: JSON.parse(json) };
  } catch {
    return null;
  }
}

/**
 * @param {string} json the arguments received so far
 * @returns {string} one member per line once they are complete; before that, or if a number would
 *   change, as received
 */
export function argumentsText(json) {
  const parsed = parse(json);
  if (parsed === null) return json;
  const { value } = parsed;
  if (value === null || typeof value !== 'object') return json;
  // JSON.parse rounds numbers beyond its precision; the original shows them.
  const compact = (/** @type {string} */ text) => text.replace(/\s+/g, '');
  if (compact(JSON.stringify(value)) !== compact(json)) return json;
  return JSON.stringify(value, null, 2);
}

/** @param {string} json @returns {boolean} whether it is neither empty nor valid JSON */
export function isUnfinishedJson(json) {
  return json !== '' && parse(json) === null;
}
