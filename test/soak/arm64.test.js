/** The binary for linux-arm64, built here and run by an emulator. Skipped where their tools are missing. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CROSS_TARGET, crossNeeds, emulator, emulatorNeeds } from '../../scripts/lib/cross.mjs';
import { PREBUILDS } from '../../scripts/prebuild.mjs';
import { root } from '../../scripts/lib/run.mjs';
import { installNodes, packingAlone, scratchFolder } from '../support/package/packed.js';

const execute = promisify(execFile);
const folder = scratchFolder();
const possible = [...crossNeeds, ...emulatorNeeds].every((need) => need.found());

afterAll(() => {
  rmSync(folder, { recursive: true });
  rmSync(join(PREBUILDS, CROSS_TARGET), { recursive: true, force: true });
});

(possible ? test : test.skip)('linux-arm64 is built, and runs a job', () =>
  packingAlone(buildAndRun),
);

async function buildAndRun() {
  const script = join(root, 'scripts/prebuild.mjs');
  await execute(process.execPath, [script, CROSS_TARGET], { maxBuffer: 1e8 });
  const binary = join(PREBUILDS, CROSS_TARGET, 'sluice.node');
  expect(existsSync(binary)).toBe(true);
  // ELF's e_machine: 183 is AArch64.
  expect(readFileSync(binary).readUInt16LE(18)).toBe(183);
  mkdirSync(join(folder, 'nodes'));
  const nodes = await installNodes(join(folder, 'nodes'), ['20'], 'arm64');
  const smoke = `import { smoke } from ${JSON.stringify(join(root, 'scripts/lib/smoke.mjs'))};
    await smoke(${JSON.stringify(CROSS_TARGET)}, ${JSON.stringify([...emulator(), nodes.get('20')])});`;
  const { stdout } = await execute(process.execPath, ['--input-type=module', '--eval', smoke]);
  expect(stdout).toMatch(/^linux arm64 v20\.\S+ job_complete$/m);
}
