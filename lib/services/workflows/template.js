/**
 * Placeholders in prompts: `{{node.text}}`, and `{{item}}` in the prompts of a map. Pure functions.
 *
 * Double braces are a placeholder only around a path of names. Inserted texts are not searched for
 * placeholders.
 */

const PLACEHOLDER = /\{\{\s*([\w-]+(?:\.[\w-]+)*)\s*\}\}/g;

/**
 * @param {string} template
 * @returns {string[]} the paths it names, `node.text`
 */
export function pathsOf(template) {
  return [...template.matchAll(PLACEHOLDER)].map(([, path]) => path);
}

/**
 * @param {string} template
 * @param {(path: string) => number} lengthOf
 * @returns {number} characters of the filled template, without filling it
 */
export function filledLength(template, lengthOf) {
  let length = template.length;
  for (const [placeholder, path] of template.matchAll(PLACEHOLDER)) {
    length += lengthOf(path) - placeholder.length;
  }
  return length;
}

/**
 * @param {string} template
 * @param {(path: string) => string} textOf
 * @returns {string}
 */
export function fill(template, textOf) {
  return template.replace(PLACEHOLDER, (_whole, path) => textOf(path));
}
