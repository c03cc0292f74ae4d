/**
 * The Lua scripts that Redis runs for a deployment: one file each in a folder of `scripts/`, which says its
 * keys, arguments and answers. `common.lua` stands before each, and then the fragments that a line
 * `-- needs a, b` names: files with functions only. Read once, when a cluster is opened.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { lazy } from '../internal/util/packages.js';

/** @typedef {{source: string, sha: string}} Script `sha`: SHA-1 of the source, for EVALSHA */

const FOLDER = new URL('./scripts/', import.meta.url);

/** @param {string} source @returns {string[]} names of the fragments that it needs */
function needsOf(source) {
  return /^-- needs (.+)$/m.exec(source)?.[1].split(', ') ?? [];
}

/** @type {() => Readonly<Record<string, Script>>} by name */
export const scripts = lazy(() => {
  const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' });
  const sources = new Map(
    files
      .filter((name) => name.endsWith('.lua'))
      .map((name) => [basename(name, '.lua'), readFileSync(new URL(name, FOLDER), 'utf8')]),
  );
  const fragments = new Set(['common', ...[...sources.values()].flatMap(needsOf)]);
  const names = [...sources.keys()].filter((name) => !fragments.has(name));
  return Object.freeze(
    Object.fromEntries(
      names.map((name) => {
        const own = sources.get(name) ?? '';
        const parts = ['common', ...needsOf(own)].map((fragment) => sources.get(fragment));
        const source = [...parts, own].join('\n');
        return [name, { source, sha: createHash('sha1').update(source).digest('hex') }];
      }),
    ),
  );
});

/**
 * @param {any[]} flat name, value, name, value, ...
 * @returns {Record<string, string>}
 */
export function fieldsOf(flat) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (let i = 0; i < flat.length; i += 2) fields[flat[i]] = flat[i + 1];
  return fields;
}
