/** The conformance suite of the Durable Streams protocol, whole, run by vitest against a gateway. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from '@jest/globals';
import { providers } from '../../../lib/index.js';
import { dataFile } from '../../support/files/data-file.js';
import { start, stopAll } from '../../support/gateway/gateway.js';

/** Tests of version 0.3.6, with those of the reserved subscription APIs, which the suite skips. */
const TESTS = 338;
const RESERVED = 6;

const root = fileURLToPath(new URL('../../../', import.meta.url));

afterEach(stopAll);

/**
 * @param {string} url of the server
 * @returns {Promise<any>} report of vitest
 */
function runSuite(url, report) {
  const args = [
    join(root, 'node_modules/vitest/vitest.mjs'),
    ...['run', '--root', root, '--dir', join(root, 'test/support/durable')],
    ...['--reporter=json', `--outputFile=${report}`],
    // Some of its tests compare times of a second or two, which a busy machine may miss.
    ...['--testTimeout=60000', '--retry=3'],
  ];
  const env = { ...process.env, CONFORMANCE_TEST_URL: `${url}/v1/durable` };
  // Jest's options are not for vitest's processes.
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

test('a gateway with a data file passes the conformance suite', async () => {
  const data = dataFile();
  const { url } = await start({
    ...{ provider: providers.demo(), data, corsOrigins: ['*'] },
    // Two of its tests wait for a long poll to end.
    durable: { longPollMs: 500 },
  });
  const report = await runSuite(url, join(dirname(data), 'report.json'));
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const named = (status) =>
    tests.filter((each) => each.status === status).map(({ fullName }) => fullName);
  expect(named('failed')).toEqual([]);
  const skipped = tests.filter(({ status }) => status !== 'passed' && status !== 'failed');
  expect(skipped.every(({ fullName }) => /^Reserved subscription APIs/.test(fullName))).toBe(true);
  expect([tests.length, skipped.length]).toEqual([TESTS, RESERVED]);
  expect(named('passed')).toHaveLength(TESTS - RESERVED);
}, 600_000);
