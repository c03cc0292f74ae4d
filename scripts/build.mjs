/**
 * Builds the addon, and on request the GoogleTest binary, in one CMake tree that cmake-js configures.
 * Repeated builds are incremental.
 *
 * Usage: node scripts/build.mjs [cmake-js options]
 *   for example --out build-asan --CDSLUICE_SANITIZE=address
 */
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { redisBuildNeeds } from './lib/needs.mjs';
import { isMain, root, run, which } from './lib/run.mjs';

/** The tree of the ordinary build. */
export const BUILD_FOLDER = 'build';
/** The tree of the tests in CI, if clang is installed. */
const TESTS_FOLDER = 'build-tests';

/** Whether builds are used only once, so that the CPU time of a full build matters. */
const IN_CI = Boolean(process.env.CI);

/** @returns {string | undefined} clang 14 or the default one */
export function findClang() {
  return ['clang++-14', 'clang++'].find((name) => which(name) !== undefined);
}

/** @typedef {import('./lib/run.mjs').RunOptions} RunOptions */

/**
 * Whether CMake has generated a tree here. After a failed configuration a tree has only a cache.
 * @param {string} folder
 */
function isConfigured(folder) {
  return ['build.ninja', 'Makefile'].some((file) => existsSync(join(root, folder, file)));
}

/** @param {string} folder @param {string} name @param {string} value */
function isCached(folder, name, value) {
  const cache = readFileSync(join(root, folder, 'CMakeCache.txt'), 'utf8');
  return cache
    .split('\n')
    .some((line) => line.startsWith(`${name}:`) && line.endsWith(`=${value}`));
}

/**
 * Whether a tree was configured before hiredis was installed.
 * @param {string} folder
 */
function lacksRedis(folder) {
  const isLacking = ['HIREDIS_INCLUDE_DIR', 'HIREDIS_LIBRARY'].some((name) =>
    isCached(folder, name, `${name}-NOTFOUND`),
  );
  return isLacking && redisBuildNeeds.every((need) => need.found());
}

/**
 * Configures a tree without cmake-js: only the GoogleTest binary, or further options of an existing
 * tree, which keeps its generator.
 * @param {string} folder
 * @param {string[]} options of CMake
 * @param {RunOptions} [runOptions]
 */
export async function configureTree(folder, options, runOptions) {
  const generator = !isConfigured(folder) && which('ninja') ? ['-G', 'Ninja'] : [];
  const args = ['-S', '.', '-B', folder, ...generator, ...options];
  return (await run('cmake', args, runOptions)).status === 0;
}

/**
 * Builds targets of a configured tree.
 * @param {string} folder
 * @param {string[]} targets
 * @param {RunOptions} [runOptions]
 */
export async function buildTree(folder, targets, runOptions) {
  const jobs = String(availableParallelism());
  const args = ['--build', folder, '--config', 'Release', '--parallel', jobs];
  return (await run('cmake', [...args, '--target', ...targets], runOptions)).status === 0;
}

/**
 * @param {string[]} [options] further options for cmake-js; used only for a new tree
 * @param {RunOptions} [runOptions]
 * @returns {Promise<boolean>} whether the build succeeded
 */
export async function buildAddon(options = [], runOptions) {
  const out = options.indexOf('--out');
  const folder = out === -1 ? BUILD_FOLDER : options[out + 1];
  if (!isConfigured(folder)) {
    // A failed configuration has cached missing compilers or libraries, which may be installed now.
    for (const stale of ['CMakeCache.txt', 'CMakeFiles']) {
      rmSync(resolve(root, folder, stale), { recursive: true, force: true });
    }
    // Next to this package, or in the project that uses this package.
    const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');
    const unity = IN_CI ? ['--CDSLUICE_UNITY=ON'] : [];
    const args = [cmakeJs, 'configure', '--log-level', 'warn', ...unity, ...options];
    if ((await run(process.execPath, args, runOptions)).status !== 0) return false;
  } else if (lacksRedis(folder) && !(await configureTree(folder, [], runOptions))) {
    return false;
  }
  return buildTree(folder, ['sluice'], runOptions);
}

/**
 * Builds the GoogleTest binary: in the addon's tree; in CI in a separate tree, with the addon's libraries, by
 * clang, which compiles tests in a third of GCC's time: it takes those of a folder as one.
 * @param {RunOptions} [runOptions]
 * @returns {Promise<string | undefined>} the tree; undefined if the build failed
 */
export async function buildNativeTests(runOptions) {
  if (!isConfigured(BUILD_FOLDER) && !(await buildAddon([], runOptions))) return undefined;
  const clang = IN_CI ? findClang() : undefined;
  const folder = clang === undefined ? BUILD_FOLDER : TESTS_FOLDER;
  const options =
    clang === undefined
      ? ['-DSLUICE_TESTS=ON']
      : [
          `-DSLUICE_LIBRARIES=${BUILD_FOLDER}`,
          `-DCMAKE_CXX_COMPILER=${clang}`,
          '-DCMAKE_BUILD_TYPE=Release',
          '-DSLUICE_UNITY=ON',
        ];
  if (clang !== undefined && !(await buildTree(BUILD_FOLDER, ['sluice_runtime'], runOptions))) {
    return undefined;
  }
  if (!isConfigured(folder) || !isCached(folder, 'SLUICE_TESTS', 'ON')) {
    if (!(await configureTree(folder, options, runOptions))) return undefined;
  }
  return (await buildTree(folder, ['sluice_tests'], runOptions)) ? folder : undefined;
}

if (isMain(import.meta.url)) {
  process.exitCode = (await buildAddon(process.argv.slice(2))) ? 0 : 1;
}
