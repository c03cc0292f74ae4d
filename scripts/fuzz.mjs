/**
 * Builds the fuzz targets of test/fuzz with clang and runs each for some seconds. To add one, write
 * `test/fuzz/NAME_fuzz.cc` and its seeds in `test/fuzz/seeds/NAME_fuzz`. New inputs that
 * reach new code are stored in build-fuzz/corpus; a crash leaves its input in build-fuzz/findings.
 *
 * Usage: node scripts/fuzz.mjs [--seconds N] [TARGET...]
 *   N       seconds for each target, default 5
 *   TARGET  a file of test/fuzz without `.cc`, default all
 */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { buildTree, configureTree, findClang } from './build.mjs';
import { isMain, root, run } from './lib/run.mjs';

const TREE = 'build-fuzz';
const folder = join(root, TREE);
const sources = join(root, 'test/fuzz');
/** Seconds for each target in CI, and by default. */
export const SECONDS = 5;
/** An input that takes longer counts as a hang. */
const TIMEOUT_SECONDS = 10;
const MEMORY_MB = 2048;

/** @typedef {import('./lib/run.mjs').RunOptions} RunOptions */

/** @returns {string[]} the names of all targets */
export function fuzzTargets() {
  return readdirSync(sources)
    .filter((name) => name.endsWith('_fuzz.cc'))
    .map((name) => name.slice(0, -'.cc'.length));
}

/**
 * Builds targets. The core is compiled once for all of them.
 * @param {string[]} targets
 * @param {RunOptions} [runOptions]
 * @returns {Promise<boolean>} whether the build succeeded
 */
async function build(targets, runOptions) {
  const clang = findClang();
  if (clang === undefined) {
    console.error('sluice: fuzzing takes clang, which is not installed');
    return false;
  }
  const options = [
    '-DSLUICE_FUZZ=ON',
    '-DSLUICE_UNITY=ON',
    `-DCMAKE_CXX_COMPILER=${clang}`,
    '-DCMAKE_BUILD_TYPE=Release',
  ];
  return (
    (await configureTree(TREE, options, runOptions)) && (await buildTree(TREE, targets, runOptions))
  );
}

/**
 * @param {string} target
 * @param {number} seconds
 * @param {RunOptions} [runOptions]
 * @returns {Promise<boolean>} whether there were no findings
 */
async function fuzz(target, seconds, runOptions) {
  const corpus = join(folder, 'corpus', target);
  const findings = join(folder, 'findings', target);
  for (const path of [corpus, findings]) mkdirSync(path, { recursive: true });
  const seeds = join(sources, 'seeds', target);
  const args = [
    corpus,
    ...(existsSync(seeds) ? [seeds] : []),
    `-max_total_time=${seconds}`,
    `-timeout=${TIMEOUT_SECONDS}`,
    `-rss_limit_mb=${MEMORY_MB}`,
    '-max_len=4096',
    '-print_final_stats=1',
    '-verbosity=0',
    '-print_funcs=0',
    `-artifact_prefix=${findings}/`,
  ];
  const { status } = await run(join(folder, target), args, runOptions);
  return status === 0;
}

/**
 * Runs targets, one per core at a time.
 * @param {number} seconds for each target
 * @param {string[]} [targets] default: all
 * @param {RunOptions} [runOptions]
 * @returns {Promise<number>} number of targets with findings; 1 if the build fails
 */
export async function fuzzAll(seconds, targets = fuzzTargets(), runOptions) {
  if (!(await build(targets, runOptions))) return 1;
  const queue = [...targets];
  let failed = 0;
  const work = async () => {
    for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
      if (!(await fuzz(target, seconds, runOptions))) failed += 1;
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return failed;
}

if (isMain(import.meta.url)) {
  const { values, positionals } = parseArgs({
    options: { seconds: { type: 'string', default: String(SECONDS) } },
    allowPositionals: true,
  });
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seconds) || seconds < 1) {
    throw new RangeError(`--seconds takes an integer from 1, not ${values.seconds}`);
  }
  const known = fuzzTargets();
  for (const target of positionals) {
    if (!known.includes(target)) {
      throw new RangeError(`there is no target ${target}; there are ${known.join(', ')}`);
    }
  }
  const targets = positionals.length > 0 ? positionals : known;
  process.exitCode = (await fuzzAll(seconds, targets)) === 0 ? 0 : 1;
}
