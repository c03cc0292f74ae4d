/**
 * The Lua scripts that Redis runs for a deployment, by subject in the folders of `scripts/`: one file each,
 * which says its keys, arguments and answers. Before each stand the functions of `common.lua` and those of
 * the fragments that it names: `-- needs quota, ledger` in its first line. A fragment, a file of
 * `scripts/fragments/`, has functions alone, and may need others. Redis makes all functions of a script at each
 * run, so those of which few runs have need are made on demand: `-- loads holds: hold_check, hold_take` gives
 * the function `load_holds`, which returns the two. Read once, when a cluster is opened.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { lazy } from '../internal/util/packages.js';

/** @typedef {{source: string, sha: string}} Script `sha`: SHA-1 of the source, for EVALSHA */

const FOLDER = new URL('./scripts/', import.meta.url);
const FRAGMENTS = 'fragments';
/** Scripts of this folder go by their own name; those of others by `folder/name`. */
const JOBS = 'jobs';
const SUFFIX = '.lua';
const NEEDS = /^-- needs (.+)\n/;
const LOADS = /^-- loads (\w+): (.+)\n/gm;

/** @param {string} path of a file, without its suffix */
const read = (path) => readFileSync(new URL(path + SUFFIX, FOLDER), 'utf8');

/**
 * Adds a fragment, after those that it needs.
 * @param {Map<string, string>} to by name, in their order
 * @param {string} source of a script or a fragment
 */
function addFragments(to, source) {
  const names = NEEDS.exec(source)?.[1].split(', ') ?? [];
  for (const name of names) {
    if (to.has(name)) continue;
    const fragment = read(`${FRAGMENTS}/${name}`);
    addFragments(to, fragment);
    to.set(name, fragment);
  }
  for (const [, name, functions] of source.matchAll(LOADS)) {
    to.set(`load_${name}`, loader(name, functions, new Map(to)));
  }
}

/**
 * @param {string} name of a fragment
 * @param {string} functions of it, with commas
 * @param {Map<string, string>} outside the fragments before it
 * @returns {string} a function that makes and returns them
 */
function loader(name, functions, outside) {
  const all = new Map(outside);
  addFragments(all, `-- needs ${name}\n`);
  const own = [...all].filter(([each]) => !outside.has(each)).map(([, source]) => source);
  return [`local function load_${name}()`, ...own, `return ${functions}`, 'end'].join('\n');
}

/**
 * @param {string} common
 * @param {string} path of a script
 * @returns {Script}
 */
function assemble(common, path) {
  const script = read(path);
  /** @type {Map<string, string>} */
  const fragments = new Map();
  addFragments(fragments, script);
  const source = [common, ...fragments.values(), script].join('\n');
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

/** @type {() => Readonly<Record<string, Script>>} by name */
export const scripts = lazy(() => {
  const common = read('common');
  const folders = readdirSync(FOLDER, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== FRAGMENTS)
    .map(({ name }) => name);
  return Object.freeze(
    Object.fromEntries(
      folders.flatMap((folder) =>
        readdirSync(new URL(`${folder}/`, FOLDER))
          .filter((file) => file.endsWith(SUFFIX))
          .map((file) => {
            const name = file.slice(0, -SUFFIX.length);
            const path = `${folder}/${name}`;
            return [folder === JOBS ? name : path, assemble(common, path)];
          }),
      ),
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
