/**
 * Checks the imports of lib/ that dependency-cruiser does not check: `import('...')` in JSDoc types, and
 * `@import` tags. Together with the imports of values they must keep the direction (layers.mjs) and
 * form no cycle.
 *
 * Usage: node scripts/lint/type-imports.mjs [folder]   default: lib/. Exit status 1 on a problem.
 */
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { isMain, root } from '../lib/run.mjs';
import { LIB_LAYERS, problemOf } from './layers.mjs';
import { sourceFiles } from './source-files.mjs';

/** Imports of values, `import()` of both kinds, and the specifier of an `@import` tag. */
const IMPORT = /(?:\bfrom\s+|\bimport\s*\(?\s*)['"](\.{1,2}\/[^'"]+)['"]/g;

/**
 * @param {string} folder
 * @returns {Map<string, string[]>} the files that each file imports, relative to `folder`
 */
function importGraph(folder) {
  const graph = new Map();
  for (const file of sourceFiles(folder, /\.js$/)) {
    const text = readFileSync(join(folder, file), 'utf8');
    const targets = [...text.matchAll(IMPORT)].map(([, specifier]) =>
      posix.normalize(posix.join(posix.dirname(file), specifier)),
    );
    graph.set(file, [...new Set(targets)]);
  }
  return graph;
}

/**
 * The strongly connected components of more than one file (Tarjan). The depth of recursion equals
 * the longest chain of imports.
 * @param {Map<string, string[]>} graph
 * @returns {string[][]}
 */
function cyclesOf(graph) {
  /** @type {Map<string, number>} */
  const index = new Map();
  /** @type {Map<string, number>} */
  const low = new Map();
  /** @type {string[]} */
  const stack = [];
  /** @type {string[][]} */
  const cycles = [];
  /** @param {string} file */
  const visit = (file) => {
    index.set(file, index.size);
    low.set(file, index.size - 1);
    const height = stack.push(file);
    for (const target of graph.get(file) ?? []) {
      if (!graph.has(target)) continue;
      if (!index.has(target)) visit(target);
      if (stack.includes(target)) {
        low.set(file, Math.min(Number(low.get(file)), Number(low.get(target))));
      }
    }
    if (low.get(file) !== index.get(file)) return;
    const component = stack.splice(height - 1);
    if (component.length > 1) cycles.push(component.sort());
  };
  for (const file of graph.keys()) if (!index.has(file)) visit(file);
  return cycles;
}

/**
 * @param {string} folder
 * @returns {string[]} one line per problem
 */
export function typeImportProblems(folder) {
  const graph = importGraph(folder);
  const problems = [];
  for (const [file, targets] of graph) {
    // index.js has the exports of the package; files at the top are the package's entry.
    if (!file.includes('/')) continue;
    for (const target of targets) {
      if (!target.includes('/') || target.startsWith('../')) continue;
      const problem = problemOf(LIB_LAYERS, file.split('/')[0], target.split('/')[0]);
      if (problem !== undefined) problems.push(`${file}: import of ${target}: ${problem}`);
    }
  }
  for (const cycle of cyclesOf(graph)) problems.push(`cycle of imports: ${cycle.join(', ')}`);
  return problems;
}

if (isMain(import.meta.url)) {
  const problems = typeImportProblems(process.argv[2] ?? join(root, 'lib'));
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
