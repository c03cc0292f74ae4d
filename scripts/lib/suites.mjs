/**
 * The test suites: each runs to its end, prints its output, and returns counts of tests by result.
 */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { root, run } from './run.mjs';

/** @typedef {{passed: number, failed: number, skipped: number}} Counts */

/** Counts for a suite that could not start. @type {Readonly<Counts>} */
export const notRun = Object.freeze({ passed: 0, failed: 1, skipped: 0 });

/**
 * Runs a built GoogleTest binary under CTest.
 * @param {string} folder the CMake tree
 * @param {import('./run.mjs').RunOptions & {ctestArgs?: string[]}} [options] `ctestArgs`: further options of CTest
 * @returns {Promise<Counts>}
 */
export async function nativeSuite(folder, { ctestArgs = [], ...runOptions } = {}) {
  const ctest = [
    '--test-dir',
    folder,
    '--output-on-failure',
    '--no-tests=error',
    '-j',
    `${availableParallelism()}`,
    ...ctestArgs,
  ];
  const { status, stdout } = await run('ctest', ctest, { ...runOptions, capture: true });
  const summary = /tests passed, (\d+) tests? failed out of (\d+)/.exec(stdout);
  if (!summary) return notRun;
  const failed = Number(summary[1]);
  const skipped = (stdout.match(/\(Skipped\)$/gm) ?? []).length;
  const passed = Number(summary[2]) - failed - skipped;
  return { passed, failed: status !== 0 && failed === 0 ? 1 : failed, skipped };
}

/** Time after which a run of the GoogleTest binary counts as hanging. */
const GTEST_TIMEOUT_MS = 600_000;

/**
 * Runs a built GoogleTest binary itself, one process per core: CTest starts one for each test, which
 * costs more CPU time than the tests. Prints failures, and the output of a test that hangs or ends its process.
 * @param {string} folder the CMake tree
 * @param {{print?: (text: string) => void}} [options]
 * @returns {Promise<Counts>} tests skipped because the process ended are not counted
 */
export async function gtestSuite(folder, { print = (text) => process.stdout.write(text) } = {}) {
  const jobs = availableParallelism();
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-gtest-'));
  try {
    const shards = Array.from({ length: jobs }, async (_, shard) => {
      const report = join(scratch, `${shard}.json`);
      const args = ['--gtest_color=no', `--gtest_output=json:${report}`];
      const own = { GTEST_TOTAL_SHARDS: `${jobs}`, GTEST_SHARD_INDEX: `${shard}` };
      let text = '';
      const { status } = await run(join(root, folder, 'sluice_tests'), args, {
        // Like CTest, because paths of sources may be relative to it.
        cwd: join(root, folder),
        env: { ...process.env, ...own },
        print: (more) => {
          text += more;
        },
        timeoutMs: GTEST_TIMEOUT_MS,
      });
      const counts = readGtestReport(report, status);
      if (counts.failed > 0) print(failuresIn(text));
      return counts;
    });
    const all = await Promise.all(shards);
    const sum = (/** @type {keyof Counts} */ field) =>
      all.reduce((total, counts) => total + counts[field], 0);
    const counts = { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') };
    print(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
    return counts;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * @param {string} path GoogleTest's JSON report, missing if the process ended during a test
 * @param {number} status its exit status
 * @returns {Counts}
 */
function readGtestReport(path, status) {
  let report;
  try {
    report = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return notRun;
  }
  /** @type {{result: string, failures?: object[]}[]} */
  const tests = report.testsuites.flatMap((/** @type {any} */ suite) => suite.testsuite);
  const failed = tests.filter(({ failures }) => failures !== undefined).length;
  const skipped = tests.filter(({ result }) => result === 'SKIPPED').length;
  const passed = tests.filter(({ result }) => result === 'COMPLETED').length - failed;
  return { passed, failed: status !== 0 && failed === 0 ? 1 : failed, skipped };
}

/** @param {string} text output of a run @returns {string} the output of its tests that did not pass */
function failuresIn(text) {
  return text
    .split(/^(?=\[ RUN {6}\])/m)
    .map((part) => part.replace(/^\[(-+|=+)\][^]*/m, ''))
    .filter((part) => part.startsWith('[ RUN') && !/\[ {7}OK \]|\[ {2}SKIPPED \]/.test(part))
    .join('');
}

/** Whether this is a test, or a folder with tests. @param {string} folder */
function hasTests(folder) {
  if (folder.endsWith('.test.js')) return existsSync(join(root, folder));
  try {
    const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
    return files.some((file) => file.endsWith('.test.js'));
  } catch {
    return false;
  }
}

/**
 * Most tests wait more than they compute: for timers, servers and browsers. Two workers more than
 * cores use the waits.
 */
const JEST_WORKERS = availableParallelism() + 2;

/** Options of jest that choose the number of workers. */
const CHOOSES_WORKERS = /^(-i|-w|--runInBand|--maxWorkers)(=|$)/;

/** More failed files than this are not due to a busy machine. */
const AGAIN_MAX = 3;

/**
 * Runs jest over folders of tests, or single ones, in one call. In a whole run, without `jestArgs`, files
 * that fail beside others run once more, alone: what then passes is named as unsteady, and counts as
 * passed.
 * @param {string[]} folders for example `test/unit`; patterns among `jestArgs` choose from them
 * @param {{env?: NodeJS.ProcessEnv, jestArgs?: string[]}} [options]
 * @returns {Promise<Counts>}
 */
export async function jestSuite(folders, { env, jestArgs = [] } = {}) {
  const empty = folders.filter((folder) => !hasTests(folder));
  if (empty.length > 0) {
    console.error(`sluice: no tests in ${empty.join(', ')}`);
    return notRun;
  }
  const isFile = (/** @type {string} */ path) => path.endsWith('.test.js');
  const roots = folders.filter((path) => !isFile(path)).map((path) => `--roots=<rootDir>/${path}`);
  const chosen = jestArgs.some((arg) => CHOOSES_WORKERS.test(arg));
  const workers = chosen ? [] : [`--maxWorkers=${JEST_WORKERS}`];
  // Files and patterns come first: jest takes what follows `--roots` for more of them.
  const first = await runJest([...folders.filter(isFile), ...jestArgs, ...workers, ...roots], env);
  const { failedFiles, counts } = first;
  const whole = jestArgs.length === 0;
  if (!whole || failedFiles.length === 0 || failedFiles.length > AGAIN_MAX) return counts;
  console.log(`\n== once more, alone: ${failedFiles.join(', ')}`);
  const again = await runJest(['--runInBand', '--runTestsByPath', ...failedFiles], env);
  const { failed } = again.counts;
  const unsteady = failedFiles.filter((file) => !again.failedFiles.includes(file));
  if (unsteady.length > 0) {
    console.log(
      `\nsluice: unsteady, failed beside others and passed alone: ${unsteady.join(', ')}`,
    );
  }
  return { ...counts, passed: counts.passed + counts.failed - failed, failed };
}

/**
 * @param {string[]} args of jest
 * @param {NodeJS.ProcessEnv} [env] beside this process's
 * @returns {Promise<{counts: Counts, failedFiles: string[]}>} `failedFiles`: below the root
 */
async function runJest(args, env) {
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-jest-'));
  try {
    const report = join(scratch, 'report.json');
    const jest = join(root, 'node_modules/jest/bin/jest.js');
    const { status } = await run(
      process.execPath,
      [jest, '--json', `--outputFile=${report}`, ...args],
      { env: { ...process.env, ...env } },
    );
    return readReport(report, status);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * @param {string} path jest's JSON report
 * @param {number} status jest's exit status
 * @returns {{counts: Counts, failedFiles: string[]}}
 */
function readReport(path, status) {
  let report;
  try {
    report = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return { counts: notRun, failedFiles: [] };
  }
  // A file that does not even load has no tests that failed; it counts as one.
  const failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
  return {
    counts: {
      passed: report.numPassedTests,
      failed: status !== 0 && failed === 0 ? 1 : failed,
      skipped: report.numPendingTests + report.numTodoTests,
    },
    failedFiles: report.testResults
      .filter((/** @type {{status: string}} */ file) => file.status === 'failed')
      .map((/** @type {{name: string}} */ file) => relative(root, file.name)),
  };
}
