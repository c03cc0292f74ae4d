/** Files of a tree, for the checks in this folder. */
import { readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

/**
 * @param {string} root
 * @param {RegExp} ending
 * @returns {string[]} paths relative to `root`, with `/` between folders, sorted
 */
export function sourceFiles(root, ending) {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}
