/**
 * The test suites: each runs to its end, prints as it goes, and returns how many tests did what.
 */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, run } from './run.mjs';

/** @typedef {{passed: number, failed: number, skipped: number}} Counts */

/** What a suite that could not even start counts as. @type {Readonly<Counts>} */
export const notRun = Object.freeze({ passed: 0, failed: 1, skipped: 0 });

/**
 * Configures and builds the GoogleTest binary, and runs it under CTest.
 * @param {{folder?: string, cmakeOptions?: string[], env?: NodeJS.ProcessEnv}} [options]
 * @returns {Promise<Counts>}
 */
export async function nativeSuite({ folder = 'build-tests', cmakeOptions = [], env } = {}) {
  const jobs = String(availableParallelism());
  const configure = ['-S', '.', '-B', folder, '-DCMAKE_BUILD_TYPE=RelWithDebInfo', ...cmakeOptions];
  for (const args of [configure, ['--build', folder, '-j', jobs]]) {
    const { status } = await run('cmake', args);
    if (status !== 0) return notRun;
  }
  const ctest = [
    '--test-dir',
    folder,
    '--output-on-failure',
    '--no-tests=error',
    '--progress',
    '-j',
    jobs,
  ];
  const { status, stdout } = await run('ctest', ctest, {
    capture: true,
    env: { ...process.env, ...env },
  });
  const summary = /tests passed, (\d+) tests? failed out of (\d+)/.exec(stdout);
  if (!summary) return notRun;
  const failed = Number(summary[1]);
  const skipped = (stdout.match(/\(Skipped\)$/gm) ?? []).length;
  const passed = Number(summary[2]) - failed - skipped;
  return { passed, failed: status !== 0 && failed === 0 ? 1 : failed, skipped };
}

/** Whether this is a test, or a folder of tests that has any. @param {string} folder */
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
 * Runs jest over folders of tests, or single ones.
 * @param {string[]} folders for example `test/unit`
 * @param {{env?: NodeJS.ProcessEnv, jestArgs?: string[]}} [options]
 * @returns {Promise<Counts>}
 */
export async function jestSuite(folders, { env, jestArgs = [] } = {}) {
  const empty = folders.filter((folder) => !hasTests(folder));
  if (empty.length > 0) {
    console.error(`sluice: no tests in ${empty.join(', ')}`);
    return notRun;
  }
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-jest-'));
  try {
    const report = join(scratch, 'report.json');
    const jest = join(root, 'node_modules/jest/bin/jest.js');
    const { status } = await run(
      process.execPath,
      [
        ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', jest],
        ...['--json', `--outputFile=${report}`, ...jestArgs, ...folders],
      ],
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
 * @returns {Counts}
 */
function readReport(path, status) {
  let report;
  try {
    report = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return notRun;
  }
  // A file that does not even load has no tests that failed; it counts as one.
  const failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
  return {
    passed: report.numPassedTests,
    failed: status !== 0 && failed === 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}
