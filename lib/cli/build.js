/** `sluice build`: the addon from the sources in the package. Loads nothing that needs the addon. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describeFlags } from './flags.js';

/** @type {import('./flags.js').Flags} */
export const flags = {};

export const summary = 'build the native addon from source';

export const help = `Usage: sluice build

Builds the native addon from the sources in the package, for a platform that the package has no
binary for. Needs the packages cmake-js and node-addon-api, a C++20 compiler, CMake and some
libraries; names what is missing and installs nothing.

${describeFlags(flags)}
`;

const script = fileURLToPath(new URL('../../scripts/build-installed.mjs', import.meta.url));

/** @returns {Promise<number>} exit code */
export async function run() {
  // A separate process, so that an interrupted build also ends its compilers.
  const child = spawn(process.execPath, [script], { stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  return code ?? 1;
}
