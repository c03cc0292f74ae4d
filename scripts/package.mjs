/**
 * Adds to the tree the generated files of the published package: the addon's binaries
 * under prebuilds/, and the type declarations under types/. npm runs it as `prepack`; `--clean`
 * (`postpack`) removes both, and so does a failed run.
 *
 * Builds the binary for this platform. With SLUICE_PREBUILDS=FOLDER the binaries of that folder are
 * used, which has one for each target of a release.
 */
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { mustRun, root, run } from './lib/run.mjs';
import { PREBUILDS, prebuild } from './prebuild.mjs';
import { checkPrebuilds } from './lib/release.mjs';

const types = join(root, 'types');
const tsc = join(root, 'node_modules/typescript/bin/tsc');

function clean() {
  for (const folder of [PREBUILDS, types]) rmSync(folder, { recursive: true, force: true });
}

clean();
if (!process.argv.includes('--clean')) {
  // npm runs no postpack after a failed prepack. This handles every end of this process:
  // an exception, a child's failure, and Ctrl-C, which run() turns into an exit.
  process.once('exit', (status) => {
    if (status !== 0) clean();
  });
  try {
    if (!(await packAddon())) process.exit(1);
  } catch (error) {
    console.error(`sluice: ${/** @type {Error} */ (error).message}`);
    process.exit(1);
  }
  await packTypes();
}

/** @returns {Promise<boolean>} */
async function packAddon() {
  const { SLUICE_PREBUILDS: folder } = process.env;
  if (!folder) return prebuild();
  checkPrebuilds(folder);
  cpSync(resolve(folder), PREBUILDS, { recursive: true });
  return true;
}

/**
 * Emits the declarations, keeps those that the package's exports reach, and compiles these as a
 * strict program does: TypeScript 7 prints some types of JSDoc comments with syntax errors.
 */
async function packTypes() {
  await mustRun(process.execPath, [tsc, '-p', join(root, 'tsconfig.types.json')]);
  const check = [tsc, '-p', join(root, 'tsconfig.declarations.json'), '--listFiles'];
  const { status, stdout } = await run(process.execPath, check, { capture: true, quiet: true });
  if (status !== 0) {
    console.error(stdout.replace(/^\/.*\n/gm, ''));
    process.exit(status);
  }
  const reached = new Set(stdout.split('\n').map((path) => resolve(path)));
  for (const entry of readdirSync(types, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && !reached.has(path)) rmSync(path);
  }
}
