/**
 * Puts into the tree what the published package carries besides its sources: the addon's binary
 * for this platform under prebuilds/, and the type declarations under types/. npm runs it as
 * `prepack`; `--clean` (`postpack`) takes both away again, for a prebuild left behind would hide
 * the local build from lib/internal/native/addon.js.
 *
 * The binary uses the system's libstdc++, which Node needs too. A static one would not make it run
 * in more places but in fewer: Debian 12's asks for symbols of glibc 2.36, while the addon itself
 * is content with an older one. What it asks for is checked here.
 */
import { copyFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildAddon } from './build.mjs';
import { buildNeeds } from './lib/needs.mjs';
import { mustRun, root, which } from './lib/run.mjs';
import { ensure } from './setup.mjs';

/** The newest versions the binary may ask for: those of RHEL 9, Ubuntu 22.04 and later. */
const symbolVersionsMax = { 'GLIBC_2.': 34, 'GLIBCXX_3.4.': 29 };

const prebuilds = join(root, 'prebuilds');
const types = join(root, 'types');

for (const folder of [prebuilds, types]) rmSync(folder, { recursive: true, force: true });
if (!process.argv.includes('--clean')) await assemble();

async function assemble() {
  if (!ensure(buildNeeds) || !(await buildAddon())) process.exit(1);
  const folder = join(prebuilds, `${process.platform}-${process.arch}`);
  const binary = join(folder, 'sluice.node');
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(root, 'build/Release/sluice.node'), binary);
  const strip = which('strip');
  // The names by which Node finds the addon must stay; macOS and GNU spell that differently.
  const how = process.platform === 'darwin' ? '-x' : '--strip-unneeded';
  if (strip) await mustRun(strip, [how, binary]);
  if (process.platform === 'linux') checkSymbolVersions(binary);
  await mustRun(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    ...['-p', join(root, 'tsconfig.types.json')],
  ]);
}

/** @param {string} binary */
function checkSymbolVersions(binary) {
  const names = readFileSync(binary, 'latin1');
  for (const [prefix, max] of Object.entries(symbolVersionsMax)) {
    const pattern = new RegExp(`${prefix.replaceAll('.', '\\.')}(\\d+)`, 'g');
    const newest = Math.max(0, ...[...names.matchAll(pattern)].map((match) => Number(match[1])));
    if (newest <= max) continue;
    console.error(`sluice: the binary needs ${prefix}${newest}; ${prefix}${max} is the limit`);
    process.exit(1);
  }
}
