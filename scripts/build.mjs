/**
 * Builds the addon with cmake-js. Repeated builds do only what changed.
 *
 * Usage: node scripts/build.mjs [cmake-js options]
 *   for example --out build-asan --CDSLUICE_SANITIZE=address
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { isMain, root, run } from './lib/run.mjs';

/**
 * @param {string[]} [options] further options for cmake-js
 * @returns {Promise<boolean>} whether the build succeeded
 */
export async function buildAddon(options = []) {
  const cmakeJs = join(root, 'node_modules/cmake-js/bin/cmake-js');
  const jobs = String(availableParallelism());
  const { status } = await run(process.execPath, [
    ...[cmakeJs, 'build', '--prefer-make', '--log-level', 'warn', '--parallel', jobs],
    ...options,
  ]);
  return status === 0;
}

if (isMain(import.meta.url)) {
  process.exitCode = (await buildAddon(process.argv.slice(2))) ? 0 : 1;
}
