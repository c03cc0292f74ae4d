/**
 * Checks the direction of `#include "..."` lines in native/ (see layers.mjs).
 *
 * Usage: node scripts/lint/includes.mjs [folder]   default: native/. Exit status 1 on a problem.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isMain, root } from '../lib/run.mjs';
import { NATIVE_LAYERS, problemOf } from './layers.mjs';
import { sourceFiles } from './source-files.mjs';

const INCLUDE = /^\s*#\s*include\s+"([^"]+)"/gm;

/** @param {string} path relative to native/ */
const roomOf = (path) => dirname(path);

/**
 * @param {string} folder
 * @returns {string[]} one line per problem
 */
export function includeProblems(folder) {
  const problems = [];
  for (const file of sourceFiles(folder, /\.(h|cc)$/)) {
    for (const [, target] of readFileSync(join(folder, file), 'utf8').matchAll(INCLUDE)) {
      const problem = problemOf(NATIVE_LAYERS, roomOf(file), roomOf(target));
      if (problem !== undefined) problems.push(`${file}: #include "${target}": ${problem}`);
    }
  }
  return problems;
}

if (isMain(import.meta.url)) {
  const problems = includeProblems(process.argv[2] ?? join(root, 'native'));
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
}
