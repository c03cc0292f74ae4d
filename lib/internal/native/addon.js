/**
 * Loads the addon: $SLUICE_ADDON_PATH, then the packaged prebuild, then a local build.
 *
 * No install script runs (npm 12 blocks them): the tarball carries the binaries, a clone builds
 * its own. The error says what was looked for, where, and what to do.
 */
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SluiceError } from '../util/errors.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const target = `${process.platform}-${process.arch}`;

/** @returns {string[]} where the addon may be, in the order tried */
function candidates() {
  const override = process.env.SLUICE_ADDON_PATH;
  if (override) return [override];
  return [`${root}prebuilds/${target}/sluice.node`, `${root}build/Release/sluice.node`];
}

function load() {
  const require = createRequire(import.meta.url);
  const tried = candidates();
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
      ' To build it, run "npm install" in a clone of the repository' +
      ' (needs a C++20 compiler, cmake, uv.h, RapidJSON, curl.h and libsqlite3.a).',
    { cause },
  );
}

export default load();
