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

/** What a worker is busy with when it is terminated: each ends in a function `work`. */
const busy = {
  'a hub': `
    ${busyHub}
    const work = () => hub.append(handle, 'token');
  `,
  buffers: `
    const { StreamBuffer } = await import('${lib}stream-buffer.js');
    const settle = (...promises) => Promise.allSettled(promises);
    const work = () => {
      const buffer = new StreamBuffer({ capacity: 1 });
      const controller = new AbortController();
      settle(buffer.write('a'), buffer.write('b'), buffer.write('c', controller));
      settle(buffer.read(), buffer.read(controller), buffer.read(), buffer.read());
      controller.abort();
      buffer.close();
    };
  `,
  pipelines: `
    const { ManualClock } = await import('${lib}clock.js');
    const { Pipeline } = await import('${lib}pipeline.js');
    const process = () => { throw new Error('again'); };
    const retry = { attempts: 2, baseMs: 0 };
    const running = new Pipeline({ process, retry, idleFlushMs: 0 });
    const results = running.results();
    const settle = (...promises) => Promise.allSettled(promises);
    const work = () => {
      const controller = new AbortController();
      settle(running.submit({}), running.submit({}, controller), results.next(), results.next());
      controller.abort();
      running.stats();
      const clock = new ManualClock();
      const other = new Pipeline({ process, retry, clock });
      settle(other.submit({}));
      clock.advanceMs(100);
      settle(other.close());
    };
  `,
  decoders: `
    const { default: native } = await import('${lib}native.js');
    const bytes = new TextEncoder().encode(
      'data: {"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{}}\\n\\n');
    const work = () => {
      const decoder = new native.OpenAiDecoder(1, 1024);
      decoder.push(bytes);
      decoder.end();
    };
  `,
};

test.each(Object.keys(busy))('a worker busy with %s may be terminated', async (what) => {
  for (let round = 0; round < 10; round += 1) {
    const worker = new Worker(
      `(async () => {
        ${busy[what]}
        const { parentPort } = await import('node:worker_threads');
        parentPort.postMessage('ready');
        for (;;) {
          for (let i = 0; i < 20; i += 1) work();
          await new Promise(setImmediate);
        }
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
