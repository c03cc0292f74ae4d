/**
 * Builds the fuzz targets of test/fuzz with clang and runs each for some seconds. To add one, write
 * `test/fuzz/NAME_fuzz.cc` and its seeds in `test/fuzz/seeds/NAME_fuzz`. New inputs that
 * reach new code are kept in build-fuzz/corpus; a crash leaves its input in build-fuzz/findings.
 *
 * Usage: node scripts/fuzz.mjs [--seconds N] [TARGET...]
 *   N       seconds for each target, default 5
 *   TARGET  a file of test/fuzz without `.cc`, default all
 */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMain, root, run, which } from './lib/run.mjs';

const folder = join(root, 'build-fuzz');
const sources = join(root, 'test/fuzz');
const SECONDS = 5;
/** An input that takes longer counts as a hang. */
const TIMEOUT_SECONDS = 10;
const MEMORY_MB = 2048;

/** @returns {string[]} the names of all targets */
export function fuzzTargets() {
  return readdirSync(sources)
    .filter((name) => name.endsWith('_fuzz.cc'))
    .map((name) => name.slice(0, -'.cc'.length));
}

/** @returns {string | undefined} clang 14 or the default one */
export function findClang() {
  return ['clang++-14', 'clang++'].find((name) => which(name) !== undefined);
}

/**
 * @param {string} clang
 * @param {string[]} targets
 * @returns {Promise<boolean>} whether the build succeeded
 */
async function build(clang, targets) {
  const generator = which('ninja') === undefined ? [] : ['-G', 'Ninja'];
  const options = [
    '-DSLUICE_FUZZ=ON',
    `-DCMAKE_CXX_COMPILER=${clang}`,
    '-DCMAKE_BUILD_TYPE=Release',
  ];
  const configured = existsSync(join(folder, 'CMakeCache.txt'))
    ? await run('cmake', [folder])
    : await run('cmake', [...generator, '-S', root, '-B', folder, ...options]);
  if (configured.status !== 0) return false;
  const built = await run('cmake', ['--build', folder, '--parallel', '2', '--target', ...targets]);
  return built.status === 0;
}

/**
 * @param {string} target
 * @param {number} seconds
 * @returns {Promise<boolean>} whether it found nothing
 */
async function fuzz(target, seconds) {
  const corpus = join(folder, 'corpus', target);
  const findings = join(folder, 'findings', target);
  for (const path of [corpus, findings]) mkdirSync(path, { recursive: true });
  const seeds = join(sources, 'seeds', target);
  const { status } = await run(join(folder, target), [
    corpus,
    ...(existsSync(seeds) ? [seeds] : []),
    `-max_total_time=${seconds}`,
    `-timeout=${TIMEOUT_SECONDS}`,
    `-rss_limit_mb=${MEMORY_MB}`,
    '-max_len=4096',
    '-print_final_stats=1',
    '-verbosity=0',
    `-artifact_prefix=${findings}/`,
  ]);
  return status === 0;
}

/**
 * @param {number} seconds for each target
 * @param {string[]} [targets] default: all
 * @returns {Promise<boolean>} whether all ran and found nothing
 */
export async function fuzzAll(seconds, targets = fuzzTargets()) {
  const clang = findClang();
  if (clang === undefined) {
    console.error('sluice: fuzzing takes clang, which is not installed');
    return false;
  }
  if (!(await build(clang, targets))) return false;
  let clean = true;
  for (const target of targets) clean = (await fuzz(target, seconds)) && clean;
  return clean;
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
  process.exitCode = (await fuzzAll(seconds, targets)) ? 0 : 1;
}
