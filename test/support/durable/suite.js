/** Runs the conformance suite of the Durable Streams protocol, whole, by vitest against a server. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The number of tests of version 0.3.6, including those of the reserved subscription APIs, which it skips. */
const TESTS = 338;
const RESERVED = 6;

const root = fileURLToPath(new URL('../../../', import.meta.url));

/**
 * @param {string} url of the server
 * @param {string} report path of the report to write
 * @returns {Promise<any>} report of vitest
 */
function runSuite(url, report) {
  const args = [
    join(root, 'node_modules/vitest/vitest.mjs'),
    ...['run', '--root', root, '--dir', join(root, 'test/support/durable')],
    ...['--reporter=json', `--outputFile=${report}`],
    // Some of its tests check durations of a second or two, which a busy machine may exceed.
    ...['--testTimeout=60000', '--retry=3'],
  ];
  const env = { ...process.env, CONFORMANCE_TEST_URL: `${url}/v1/durable` };
  // Vitest's processes must not inherit jest's options.
  delete env.NODE_OPTIONS;
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { env, maxBuffer: 1 << 26 }, (_error, stdout, stderr) => {
      try {
        resolve(JSON.parse(readFileSync(report, 'utf8')));
      } catch (error) {
        reject(new Error(`vitest wrote no report:\n${stdout}${stderr}`, { cause: error }));
      }
    });
  });
}

/**
 * Expects a server to pass every test.
 * @param {string} url
 * @param {string} path of a file to write
 */
export async function expectConformance(url, path) {
  const report = await runSuite(url, path);
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const named = (status) =>
    tests.filter((each) => each.status === status).map(({ fullName }) => fullName);
  expect(named('failed')).toEqual([]);
  const skipped = tests.filter(({ status }) => status !== 'passed' && status !== 'failed');
  expect(skipped.every(({ fullName }) => /^Reserved subscription APIs/.test(fullName))).toBe(true);
  expect([tests.length, skipped.length]).toEqual([TESTS, RESERVED]);
  expect(named('passed')).toHaveLength(TESTS - RESERVED);
}
