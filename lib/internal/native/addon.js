/**
 * Loads the addon: $SLUICE_ADDON_PATH, else a local build, else the packaged prebuild. A local
 * build goes first because a prebuild that an interrupted `npm pack` left in a clone is older.
 *
 * No install script runs (npm 12 blocks them): the tarball carries the binaries, a clone builds
 * its own. The error names the platform, the paths tried and the fix.
 */
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SluiceError } from '../util/errors.js';
import { nativeTarget } from './target.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** @param {string} target @returns {string[]} where the addon may be, in the order tried */
function candidates(target) {
  const override = process.env.SLUICE_ADDON_PATH;
  if (override) return [override];
  return [`${root}build/Release/sluice.node`, `${root}prebuilds/${target}/sluice.node`];
}

function load() {
  const require = createRequire(import.meta.url);
  const target = nativeTarget();
  const tried = candidates(target);
  /** @type {unknown} */
  let cause;
  for (const path of tried) {
    if (!existsSync(path)) continue;
    try {
      return require(path);
    } catch (error) {
      // A binary that is there but does not load (another libc, a broken build) must not hide
      // behind "not found"; the next candidate may still do.
      cause ??= error;
    }
  }
  const reason = cause instanceof Error ? ` The first that exists failed: ${cause.message}.` : '';
  throw new SluiceError(
    'ERR_ADDON_NOT_FOUND',
    `Sluice has no native addon for ${target} (Node ${process.version}). Tried: ${tried.join(', ')}.${reason}` +
      ' To build it from source, run "npx sluice build" (in a clone "npm run build"): it needs a C++20' +
      ' compiler, CMake and some libraries, and names what is missing.',
    { cause },
  );
}

const native = load();

/**
 * Numbers that the addon exports, by name: an enumeration (native/addon/enums.cc) or a layout. The
 * modules that use them call this when they are loaded, so that an addon of another version is an
 * error at start, and not a missing event later.
 * @template {string} Name
 * @param {string} path among the addon's exports: `enums.EventKind`
 * @param {readonly Name[]} names that the caller uses
 * @returns {Readonly<Record<Name, number>>}
 * @throws {SluiceError} `ERR_ADDON_STALE` when the addon lacks one of them
 */
export function nativeNumbers(path, names) {
  const numbers = path.split('.').reduce((owner, name) => owner?.[name], native);
  const missing = names.find((name) => typeof numbers?.[name] !== 'number');
  if (missing !== undefined) {
    throw new SluiceError(
      'ERR_ADDON_STALE',
      `Sluice's native addon is of another version: it has no ${path}.${missing}.` +
        ' In a clone of the repository, run "npm run build"; otherwise install the package again,' +
        ' or set SLUICE_ADDON_PATH to an addon of this version.',
    );
  }
  return Object.freeze({ ...numbers });
}

/**
 * As `nativeNumbers`, the other way round: an array of the names by number.
 * @template {string} Name
 * @param {string} path
 * @param {readonly Name[]} names
 * @returns {readonly Name[]}
 */
export function nativeNames(path, names) {
  const numbers = nativeNumbers(path, names);
  /** @type {Name[]} */
  const byNumber = [];
  for (const name of names) byNumber[numbers[name]] = name;
  return Object.freeze(byNumber);
}

export default native;
