/** Runs tests of this repository with the major versions of the clients that need Node 22. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { install, installNodes, root } from '../package/packed.js';

const execute = promisify(execFile);
const NODE = '22';

/** `ai` 7 needs version 4 of `@ai-sdk/openai`, and with version 3 of `@ai-sdk/openai-compatible`. */
const CLIENTS = ['openai@7', 'ai@7', '@ai-sdk/openai@4', '@ai-sdk/openai-compatible@3'];

/**
 * @typedef {object} NewerClients
 * @property {string} node path of the binary
 * @property {string} app folder that the clients are installed in
 */

/**
 * @param {string} folder
 * @returns {Promise<NewerClients>}
 */
export async function installNewerClients(folder) {
  const app = await install(folder, CLIENTS);
  const nodes = join(folder, 'nodes');
  mkdirSync(nodes);
  const node = (await installNodes(nodes, [NODE])).get(NODE) ?? '';
  return { node, app };
}

/**
 * @param {NewerClients} clients
 * @param {string} folder for the report
 * @param {string[]} files of tests, relative to the repository
 * @returns {Promise<{passed: number, failures: string[]}>} `failures`: jest's message for each
 */
export async function testNewerClients({ node, app }, folder, files) {
  const report = join(folder, 'report.json');
  const args = [
    ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
    ...[join(root, 'node_modules/jest/bin/jest.js'), ...files, '--silent', '-i'],
    // jest's own runner, because the other one takes no resolver.
    ...['--runner=jest-runner', '--transform={}', '--testTimeout=180000'],
    `--resolver=${join(root, 'test/support/client/newer-clients.cjs')}`,
    ...['--json', `--outputFile=${report}`],
  ];
  const env = { ...process.env, SLUICE_TEST_CLIENTS: app };
  const failed = await execute(node, args, { cwd: root, env, maxBuffer: 1e8 }).catch(
    (error) => error,
  );
  const { numPassedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'));
  const failures = testResults
    .filter(({ status }) => status !== 'passed')
    .map(({ message }) => message);
  // For example after a test that did not close a server.
  if (failures.length === 0 && failed instanceof Error) failures.push(failed.message);
  return { passed: numPassedTests, failures };
}
