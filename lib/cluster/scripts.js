/**
 * The Lua scripts that Redis runs for a deployment: one file each in `scripts/`, which says its keys,
 * arguments and answers, after the functions of `common.lua`. Read once, when a cluster is opened.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { lazy } from '../internal/util/packages.js';

/** @typedef {{source: string, sha: string}} Script `sha`: SHA-1 of the source, for EVALSHA */

const FOLDER = new URL('./scripts/', import.meta.url);
const COMMON = 'common.lua';

/** @param {string} name of a file */
const read = (name) => readFileSync(new URL(name, FOLDER), 'utf8');

/** @type {() => Readonly<Record<string, Script>>} by name */
export const scripts = lazy(() => {
  const common = read(COMMON);
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.lua') && name !== COMMON);
  return Object.freeze(
    Object.fromEntries(
      names.map((name) => {
        const source = `${common}\n${read(name)}`;
        const sha = createHash('sha1').update(source).digest('hex');
        return [name.slice(0, -'.lua'.length), { source, sha }];
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
