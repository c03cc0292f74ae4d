/** Files that a page of the documentation prints: a line `name`: before a block of code names it. */
import { readFileSync } from 'node:fs';

/** @param {string} page relative to the repository @returns {Map<string, string>} code by name */
export function filesOf(page) {
  const text = readFileSync(new URL(`../../../${page}`, import.meta.url), 'utf8');
  const blocks = text.matchAll(/^`([^`\n]+)`[^\n]*:\n+(?:<!--.*?-->\n+)?```\w*\n(.*?)```/gms);
  return new Map([...blocks].map(([, name, code]) => [name, code]));
}
