/**
 * Builds the binary of the package for one platform: prebuilds/<target>/sluice.node, stripped, and checked
 * to load on the oldest supported systems.
 *
 * The binary uses the system's libstdc++, which Node also needs. A static one would make it run
 * on fewer systems: Debian 12's needs symbols of glibc 2.36, while the addon itself
 * works with an older one.
 *
 * Usage: node scripts/prebuild.mjs [target]   default: this platform; linux-arm64 also on other Debians
 */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { nativeTarget } from '../lib/internal/native/target.js';
import { buildAddon } from './build.mjs';
import { CROSS_TARGET, crossBuild, crossNeeds } from './lib/cross.mjs';
import { buildNeeds, redisBuildNeeds } from './lib/needs.mjs';
import { isMain, mustRun, root, which } from './lib/run.mjs';
import { checkSymbolVersions } from './lib/symbol-versions.mjs';
import { FOR_REDIS, ensure, prefer } from './setup.mjs';

/** Folder of the package's binaries. */
export const PREBUILDS = join(root, 'prebuilds');

/** @param {string} target @returns {Promise<string | undefined>} the path of a built addon */
async function build(target) {
  if (target === nativeTarget()) {
    if (!ensure(buildNeeds)) return undefined;
    prefer(redisBuildNeeds, FOR_REDIS);
    return (await buildAddon()) ? join(root, 'build/Release/sluice.node') : undefined;
  }
  if (target !== CROSS_TARGET || process.platform !== 'linux') {
    throw new Error(`a binary for ${target} is built on that platform`);
  }
  return ensure([...buildNeeds, ...redisBuildNeeds, ...crossNeeds]) ? crossBuild() : undefined;
}

/** @param {string} target @returns {string[]} the commands that may strip its binary */
function strippers(target) {
  return target === nativeTarget() ? ['strip'] : ['aarch64-linux-gnu-strip'];
}

/**
 * @param {string} [target]
 * @returns {Promise<boolean>} false: the build failed; the reason was printed
 */
export async function prebuild(target = nativeTarget()) {
  const built = await build(target);
  if (built === undefined) return false;
  const binary = join(PREBUILDS, target, 'sluice.node');
  mkdirSync(join(PREBUILDS, target), { recursive: true });
  copyFileSync(built, binary);
  const strip = which(...strippers(target));
  // The symbols that Node looks up must stay; the options differ on macOS and GNU.
  const option = target.startsWith('darwin-') ? '-x' : '--strip-unneeded';
  if (strip) await mustRun(strip, [option, binary]);
  // musl has no symbol versions.
  if (target.startsWith('linux-') && !target.endsWith('-musl')) checkSymbolVersions(binary);
  return true;
}

if (isMain(import.meta.url)) {
  try {
    process.exitCode = (await prebuild(process.argv[2])) ? 0 : 1;
  } catch (error) {
    console.error(`sluice: ${/** @type {Error} */ (error).message}`);
    process.exitCode = 1;
  }
}
