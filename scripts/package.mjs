/**
 * Puts into the tree what the published package carries besides its sources: the addon's binary
 * for this platform under prebuilds/, and the type declarations under types/. npm runs it as
 * `prepack`; `--clean` (`postpack`) takes both away again, and so does a run that fails.
 *
 * The binary uses the system's libstdc++, which Node needs too. A static one would not make it run
 * in more places but in fewer: Debian 12's asks for symbols of glibc 2.36, while the addon itself
 * is content with an older one. The symbol versions of the binary are checked here.
 */
import { copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { nativeTarget } from '../lib/internal/native/target.js';
import { buildAddon } from './build.mjs';
import { buildNeeds } from './lib/needs.mjs';
import { mustRun, root, run, which } from './lib/run.mjs';
import { checkSymbolVersions } from './lib/symbol-versions.mjs';
import { ensure } from './setup.mjs';

const prebuilds = join(root, 'prebuilds');
const types = join(root, 'types');
const tsc = join(root, 'node_modules/typescript/bin/tsc');

function clean() {
  for (const folder of [prebuilds, types]) rmSync(folder, { recursive: true, force: true });
}

clean();
if (!process.argv.includes('--clean')) {
  // npm runs no postpack after a prepack that failed. Every way out of this process comes here:
  // an exception, a child's failure, and Ctrl-C, which run() turns into an exit.
  process.once('exit', (status) => {
    if (status !== 0) clean();
  });
  if (!ensure(buildNeeds) || !(await buildAddon())) process.exit(1);
  await packAddon();
  await packTypes();
}

async function packAddon() {
  const target = nativeTarget();
  const binary = join(prebuilds, target, 'sluice.node');
  mkdirSync(join(prebuilds, target), { recursive: true });
  copyFileSync(join(root, 'build/Release/sluice.node'), binary);
  const strip = which('strip');
  // The names by which Node finds the addon must stay; macOS and GNU spell that differently.
  const how = process.platform === 'darwin' ? '-x' : '--strip-unneeded';
  if (strip) await mustRun(strip, [how, binary]);
  // musl has no symbol versions.
  if (process.platform !== 'linux' || target.endsWith('-musl')) return;
  try {
    checkSymbolVersions(binary);
  } catch (error) {
    console.error(`sluice: ${/** @type {Error} */ (error).message}`);
    process.exit(1);
  }
}

/**
 * Emits the declarations, keeps those that the package's exports reach, and compiles these as a
 * strict program does: TypeScript 7 prints some types of JSDoc comments so that they do not parse.
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
