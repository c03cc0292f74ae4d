/**
 * The addon in the life of a process: exit, worker threads, a missing binary.
 */
import { expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const lib = new URL('../../lib/', import.meta.url);

/** Runs an ES module in a process of its own. */
function node(source, env = {}) {
  return run(process.execPath, ['--input-type=module', '-e', source], {
    env: { ...process.env, ...env },
    timeout: 20_000,
  });
}

const busyHub = `
  const { JobHub } = await import('${lib}job-hub.js');
  const { sharedReactor } = await import('${lib}reactor.js');
  const { streamEvents } = await import('${lib}event-stream.js');
  const hub = new JobHub({ reactor: sharedReactor(), onEnded() {}, onPurged() {} });
  const handle = hub.create({ jobId: 'job_a', onDisconnect: 'continue', disconnectGraceMs: 0,
    maxWallMs: 1e9 });
  (async () => { for await (const event of streamEvents(hub, { handle })); })().catch(() => {});
`;

test('a process with nothing left to do exits by itself', async () => {
  const { stdout } = await node(`
    ${busyHub}
    hub.append(handle, 'a');
    hub.finish(handle, { type: 'complete', reason: 'stop' });
    console.log('done');
  `);
  expect(stdout).toBe('done\n');
});

test('a process may exit in the middle of everything', async () => {
  const { stdout } = await node(`
    ${busyHub}
    for (let i = 0; i < 1000; i += 1) hub.append(handle, 'token');
    console.log('leaving');
    process.exit(0);
  `);
  expect(stdout).toBe('leaving\n');
});

test('a worker may be terminated in the middle of everything', async () => {
  for (let round = 0; round < 10; round += 1) {
    const worker = new Worker(
      `(async () => {
        ${busyHub}
        const { parentPort } = await import('node:worker_threads');
        parentPort.postMessage('ready');
        for (;;) { hub.append(handle, 'token'); await new Promise(setImmediate); }
      })();`,
      { eval: true },
    );
    await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    await new Promise((resolve) => setTimeout(resolve, round));
    expect(await worker.terminate()).toBe(1);
  }
});

test('a missing addon is an error that says what was tried and what to do', async () => {
  const source = `
    await import('${lib}native.js').catch((error) => console.log(error.code, error.message));
  `;
  const path = '/nonexistent/sluice.node';
  const { stdout } = await node(source, { SLUICE_ADDON_PATH: path });
  expect(stdout).toContain('ERR_ADDON_NOT_FOUND');
  expect(stdout).toContain(path);
  expect(stdout).toContain(`${process.platform}-${process.arch}`);
  expect(stdout).toContain('npm install');
});

test('a file that is not an addon is named with the loader’s reason', async () => {
  const path = fileURLToPath(import.meta.url);
  const { stdout } = await node(
    `await import('${lib}native.js').catch((error) => console.log(error.code, error.message));`,
    { SLUICE_ADDON_PATH: path },
  );
  expect(stdout).toMatch(/^ERR_ADDON_NOT_FOUND .*The first that exists failed: /);
});
