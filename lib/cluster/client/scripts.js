/**
 * The Lua scripts that Redis runs for a deployment, in folders of `scripts/` by subject. A file documents its
 * keys, arguments and answers. `common.lua` and the fragments that its first line names (`-- needs quota,
 * ledger`) are put before it. A fragment, a file of `scripts/fragments/`, contains functions only, and may
 * need others. Redis creates all functions of a script at each run; a script creates rarely used ones on demand:
 * `-- loads holds: hold_check, hold_take` adds the function `load_holds`, which returns the two. All files are
 * read once, when a cluster is opened.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { lazy } from '../../internal/util/packages.js';

/** @typedef {{source: string, sha: string}} Script `sha`: SHA-1 of the source, for EVALSHA */

const FOLDER = new URL('../scripts/', import.meta.url);
const FRAGMENTS = 'fragments';
/** Scripts in these folders are called by their own name, others by `folder/name`. */
const OWN_NAMES = ['jobs', 'processes', 'faces'];
const SUFFIX = '.lua';
const NEEDS = /^-- needs (.+)\n/;
const LOADS = /^-- loads (\w+): (.+)\n/gm;

/** @param {string} path of a file, without its suffix */
const read = (path) => readFileSync(new URL(path + SUFFIX, FOLDER), 'utf8');

/**
 * Adds a fragment after the fragments that it needs.
 * @param {Map<string, string>} to fragments by name, in order
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
 * @param {string} functions of the fragment, separated by commas
 * @param {Map<string, string>} outside source of the fragments before it
 * @returns {string} source of a Lua function that creates and returns them
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
            return [OWN_NAMES.includes(folder) ? name : path, assemble(common, path)];
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
