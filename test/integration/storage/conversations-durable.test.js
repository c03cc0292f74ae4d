/** Conversations with a data file: acknowledged turns survive a restart or a crash. */
import { once } from 'node:events';
import { createGateway } from '../../../lib/index.js';
import { afterCrash, dataFile } from '../../support/files/data-file.js';
import { cleanUp, stopAll } from '../../support/gateway/gateway.js';
import { exported } from '../../../lib/jobs/storage/export.js';
import { handProvider } from '../../support/providers/providers.js';
import {
  assistant,
  notingProvider,
  startConversations,
  user,
} from '../../support/gateway/conversations.js';
import { until } from '../../support/until.js';
import { upstreamThread } from '../../support/upstream/upstream-thread.js';

afterEach(stopAll);

test('all acknowledged turns survive a crash', async () => {
  const data = dataFile();
  const { provider } = notingProvider();
  const first = await startConversations({ provider, data });
  const id = await first.begin({ title: 'T', metadata: { a: 1 }, ttl_s: 5000 });
  await first.turn(id, 'one');
  await first.turn(id, 'zwei 🌊');
  const fork = (await first.fork(id, { at: 2 })).body.conversation_id;
  const gone = await first.begin({ messages: [user('x')] });
  const before = [await first.read(id), await first.read(fork), (await first.list()).body];
  expect((await first.remove(gone)).status).toBe(204);
  before[2].data = before[2].data.filter(({ conversation_id: each }) => each !== gone);

  const { provider: other, seen } = notingProvider();
  const second = await startConversations({ provider: other, data: afterCrash(data) });
  expect([await second.read(id), await second.read(fork), (await second.list()).body]).toEqual(
    before,
  );
  expect((await second.find(gone)).status).toBe(404);
  await second.turn(id, 'three');
  expect(seen[0].map(({ content }) => content)).toEqual([
    ...['one', 'you said one', 'zwei 🌊', 'you said zwei 🌊', 'three'],
  ]);
});

test('a turn cut off by a crash leaves nothing, and does not block the next one', async () => {
  const data = dataFile();
  const { provider, call } = handProvider();
  const first = await startConversations({ provider, data });
  const id = await first.begin({ messages: [user('a'), assistant('b')], ttl_s: 1000 });
  const { job_id: cut } = (await first.say(id, 'c', {}, { 'idempotency-key': 'k' })).body;
  (await call(0)).push('d');
  await until(async () => (await first.job(cut)).text === 'd');

  const { provider: other, seen } = notingProvider();
  const second = await startConversations({ provider: other, data: afterCrash(data) });
  expect(await second.job(cut)).toMatchObject({
    status: 'failed',
    conversation_id: id,
    error: { code: 'server_restarted' },
  });
  const found = await second.read(id);
  expect(found).toMatchObject({ message_count: 2, expires_at: expect.any(Number) });
  expect(found).not.toHaveProperty('busy_job_id');
  // The retry of the submission is the job that there was.
  const again = await second.say(id, 'c', {}, { 'idempotency-key': 'k' });
  expect([again.status, again.body.job_id]).toEqual([200, cut]);
  expect((await second.read(id)).message_count).toBe(2);
  await second.turn(id, 'c');
  expect(seen).toEqual([[user('a'), assistant('b'), user('c')]]);
});

test('a gateway used before it listens has the earlier turns, too', async () => {
  const data = dataFile();
  const { provider, call } = handProvider();
  const first = await startConversations({ provider, data });
  const id = await first.begin();
  await first.say(id, 'a');
  await call(0);
  const copy = afterCrash(data);
  const second = createGateway({ provider: notingProvider().provider, data: copy, logger: false });
  cleanUp(() => second.close({ drainMs: 0 }));
  const { id: job } = await second.submit({ conversation_id: id, prompt: 'b' });
  await until(async () => (await second.get(job))?.status === 'completed');
  expect((await second.conversations.get(id)).messages).toMatchObject([
    user('b'),
    assistant('you said b'),
  ]);
});

test('a turn whose job was never stored leaves nothing', async () => {
  const data = dataFile();
  const { provider } = handProvider();
  const room = { maxConcurrency: 1, processingCapacity: 1, incomingCapacity: 1 };
  const options = { provider, data, ...room, admissionWaitMs: 600_000 };
  const first = await startConversations(options);
  const id = await first.begin({ messages: [user('a'), assistant('b')] });
  // The queues are full: the turn has started, and its job waits for admission.
  const controller = new AbortController();
  const { signal } = controller;
  const others = Array.from({ length: 8 }, () => first.gateway.submit({ prompt: 'x' }, { signal }));
  others.push(first.gateway.submit({ prompt: 'y', conversation_id: id }, { signal }));
  const settled = Promise.allSettled(others);
  const { busy_job_id: waiting } = await first.read(id);
  expect((await first.get(`/v1/jobs/${waiting}`)).status).toBe(404);
  await first.begin();
  const copy = afterCrash(data);
  controller.abort();
  await settled;

  const second = await startConversations({ provider: notingProvider().provider, data: copy });
  expect(await second.read(id)).not.toHaveProperty('busy_job_id');
  await second.turn(id, 'c');
  expect(await second.contents(id)).toHaveLength(4);
});

/**
 * A data file with a turn whose job has ended without the main thread's notice: the state that
 * a crash leaves between the end of the job and the end of its turn.
 */
async function crashedInBetween() {
  const { worker, provider } = await upstreamThread();
  const data = dataFile();
  const { begin, say, job } = await startConversations({ provider, data });
  const id = await begin();
  const called = once(worker, 'message');
  const { job_id: jobId } = (await say(id, 'q')).body;
  await called;
  await until(async () => (await job(jobId)).text === 'half');
  worker.postMessage({ finish: true });
  // From here on this thread is blocked until the copy is made.
  const never = new Int32Array(new SharedArrayBuffer(4));
  const ended = () => {
    const all = [...exported(data)];
    return all.some(({ job_id: each, status }) => each === jobId && status === 'completed');
  };
  for (let tries = 0; !ended(); tries += 1) {
    if (tries > 500) throw new Error('the job did not end');
    Atomics.wait(never, 0, 0, 10);
  }
  return { id, jobId, copy: afterCrash(data) };
}

test.each([
  ['is kept', {}],
  ['has no time left', { retentionMs: 1 }],
])('a turn whose job had ended is completed after the crash, if the job %s', async (_, more) => {
  const { id, jobId, copy } = await crashedInBetween();
  const { provider, seen } = notingProvider();
  const second = await startConversations({ provider, data: copy, ...more });
  const { messages } = await second.read(id);
  expect(messages).toMatchObject([
    { ...user('q'), job_id: jobId },
    { ...assistant('half and whole'), job_id: jobId, finish_reason: 'stop' },
  ]);
  expect(messages).toHaveLength(2);
  await second.turn(id, 'next');
  expect(seen[0]).toHaveLength(3);
  // And once: also when that is restored again.
  const third = await startConversations({ provider, data: afterCrash(copy) });
  expect((await third.read(id)).messages).toHaveLength(4);
});
