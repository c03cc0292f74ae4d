/**
 * Prints how long `import 'sluice'` takes beyond a bare `node -e 0`: medians of wall time and of CPU
 * time. The two runs alternate, so that both see the same load of the machine.
 *
 * Usage: node scripts/import-time.mjs [runs]   (default: 20)
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './lib/run.mjs';

const RUNS_DEFAULT = 20;
const runs = Number(process.argv[2] ?? RUNS_DEFAULT);
if (!Number.isInteger(runs) || runs < 1) {
  console.error(`sluice: runs takes an integer from 1, not ${process.argv[2]}`);
  process.exit(2);
}

const entry = pathToFileURL(join(root, 'lib/index.js')).href;
const printCpuTime = `process.on('exit', () => {
  const { user, system } = process.cpuUsage();
  console.log((user + system) / 1000);
});`;

/**
 * @param {string} source
 * @returns {{wall: number, cpu: number}} milliseconds
 */
function measure(source) {
  const startedAt = performance.now();
  const args = ['-e', `${printCpuTime} ${source}`];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const wall = performance.now() - startedAt;
  if (status !== 0) throw new Error(stderr);
  return { wall, cpu: Number(stdout) };
}

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const bare = [];
const imported = [];
for (let run = 0; run < runs; run += 1) {
  bare.push(measure('0'));
  imported.push(measure(`import(${JSON.stringify(entry)})`));
}
for (const kind of /** @type {const} */ (['wall', 'cpu'])) {
  const without = median(bare.map((sample) => sample[kind]));
  const whole = median(imported.map((sample) => sample[kind]));
  const figures = [whole - without, without, whole].map((ms) => `${ms.toFixed(0)} ms`);
  console.log(
    `${kind} time: the import takes ${figures[0]} (bare ${figures[1]}, with it ${figures[2]}; ` +
      `medians of ${runs})`,
  );
}
