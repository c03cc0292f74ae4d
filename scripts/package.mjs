/**
 * Puts into the tree what the published package carries besides its sources: the addon's binary
 * for this platform under prebuilds/, and the type declarations under types/. npm runs it as
 * `prepack`; `--clean` (`postpack`) takes both away again, for a prebuild left behind would hide
 * the local build from lib/native.js.
 *
 * The binary links libstdc++ and libgcc statically. What it then asks of the system is the C
 * library alone, so one build serves every distribution whose glibc is not older than the
 * builder's symbols (2.34 when built on Debian 12: Ubuntu 22.04, RHEL 9, Amazon Linux 2023 and
 * later), whatever compiler that distribution ships.
 */
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildAddon } from './build.mjs';
import { buildNeeds } from './lib/needs.mjs';
import { mustRun, root, which } from './lib/run.mjs';
import { ensure } from './setup.mjs';

const prebuilds = join(root, 'prebuilds');
const types = join(root, 'types');

for (const folder of [prebuilds, types]) rmSync(folder, { recursive: true, force: true });
if (!process.argv.includes('--clean')) await assemble();

async function assemble() {
  const out = 'build-package';
  const options = ['--out', out, '--config', 'Release'];
  if (process.platform === 'linux') options.push('--CDSLUICE_STATIC_RUNTIME=ON');
  if (!ensure(buildNeeds) || !(await buildAddon(options))) process.exit(1);

  const folder = join(prebuilds, `${process.platform}-${process.arch}`);
  const binary = join(folder, 'sluice.node');
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(root, out, 'Release/sluice.node'), binary);
  const strip = which('strip');
  // macOS's strip takes -x for a loadable module; GNU's default would suit, but --strip-unneeded
  // states that the dynamic symbols stay.
  const how = process.platform === 'darwin' ? '-x' : '--strip-unneeded';
  if (strip) await mustRun(strip, [how, binary]);

  await mustRun(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    ...['-p', join(root, 'tsconfig.types.json')],
  ]);
}
