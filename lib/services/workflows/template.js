/**
 * Placeholders in prompts: `{{node.text}}`, and `{{item}}` in the prompts of a map. Pure functions.
 *
 * Double braces around anything but a path of names are left as they are. What is filled in is not
 * looked at again: a model's text cannot bring placeholders of its own.
 */

const kPlaceholder = /\{\{\s*([\w-]+(?:\.[\w-]+)*)\s*\}\}/g;

/**
 * @param {string} template
 * @returns {string[]} the paths it names, `node.text`
 */
export function pathsOf(template) {
  return [...template.matchAll(kPlaceholder)].map(([, path]) => path);
}

/**
 * @param {string} template
 * @param {(path: string) => number} lengthOf
 * @returns {number} characters of the filled template, without filling it
 */
export function filledLength(template, lengthOf) {
  let length = template.length;
  for (const [placeholder, path] of template.matchAll(kPlaceholder)) {
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
  return template.replace(kPlaceholder, (_whole, path) => textOf(path));
}
