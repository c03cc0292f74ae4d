/**
 * Loads the addon: $SLUICE_ADDON_PATH, else a local build, else the packaged prebuild. A local
 * build has precedence over a possibly older prebuild left in a clone by an interrupted `npm pack`.
 *
 * No install script runs (npm 12 blocks them): the tarball contains the binaries, a clone builds
 * them. The error names the platform, the tried paths and the remedy.
 */
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SluiceError } from '../util/errors.js';
import { nativeTarget } from './target.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** @param {string} target @returns {string[]} paths of the addon, in the order of attempts */
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
      // An existing binary that does not load (another libc, a broken build) must be reported; the
      // next candidate may still load.
      cause ??= error;
    }
  }
  const reason = cause instanceof Error ? ` The first that exists failed: ${cause.message}.` : '';
  throw new SluiceError(
    'ERR_ADDON_NOT_FOUND',
    `Sluice has no native addon for ${target} (Node ${process.version}). Tried: ${tried.join(', ')}.${reason}` +
      ' To build it from source, run "npx sluice build" (in a clone "npm run build"): it needs a C++20' +
      ' compiler, CMake and some libraries, and names any that is missing.',
    { cause },
  );
}

const native = load();

export default native;
