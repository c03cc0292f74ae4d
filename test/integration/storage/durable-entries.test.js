/** Answers with entries of all kinds in a data file: a restart changes nothing for any reader. */
import { exported } from '../../../lib/jobs/storage/export.js';
import { afterCrash, dataFile } from '../../support/files/data-file.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { partsOf } from '../../support/gateway/parts.js';
import { handProvider } from '../../support/providers/providers.js';

afterEach(stopAll);

const USAGE = {
  prompt_tokens: 3,
  completion_tokens: 9,
  total_tokens: 12,
  completion_tokens_details: { reasoning_tokens: 4 },
  cost: 0.25,
};
const TOOL_CALLS = [
  { id: 'call_a', type: 'function', function: { name: 'weather', arguments: '{"city":"Ulm"}' } },
  { id: 'call_b', type: 'function', function: { name: 'time', arguments: '{}' } },
];
const ANSWER = { text: 'Grüße!', reasoning: 'hm…', refusal: 'no', tool_calls: TOOL_CALLS };

const ENTRIES = [
  { kind: 'reasoning', text: 'hm…' },
  { kind: 'text', text: 'Grüße', aux: '{"content":[{"logprob":-1.50}]}' },
  { kind: 'tool_call', text: 'call_a', aux: 'weather' },
  { kind: 'tool_arguments', text: '{"city":' },
  { kind: 'tool_arguments', text: '"Ulm"}' },
  { kind: 'tool_call', text: 'call_b', aux: 'time' },
  { kind: 'tool_arguments', text: '{}' },
  { kind: 'refusal', text: 'no' },
  { kind: 'extra', text: '{"images":[{"n":1.0}]}' },
  { kind: 'text', text: '!' },
];

/** A server with a running job whose provider waits. */
async function startJob(data) {
  const { provider, call } = handProvider();
  const server = await start({ provider, data, logger: false });
  const id = (await server.submit({ prompt: 'hello' })).body.job_id;
  await call(0);
  return { server, id, ...partOf(server, id) };
}

/** The hub and the job's handle in it. */
function partOf({ gateway }, id) {
  const { hub, lifecycle } = partsOf(gateway);
  return { hub, handle: lifecycle.jobs.get(id, 'anonymous').handle };
}

/** The job's frames from its first event on. */
async function framesOf(server, id) {
  const { raw } = await server.read(`/v1/stream?job_id=${id}`);
  return raw.slice(raw.indexOf('id: '));
}

test('a finished answer of all kinds has the same bytes after a restart', async () => {
  const data = dataFile();
  const { server, id, hub, handle } = await startJob(data);
  for (const entry of ENTRIES) {
    hub.appendEntry(handle, entry);
    // In several rows of the file.
    if (entry.kind === 'tool_call') await hub.flush();
  }
  hub.finish(handle, {
    type: 'complete',
    reason: 'tool_calls',
    rawReason: 'tool_use',
    usage: USAGE,
  });
  const job = await server.ended(id);
  const frames = await framesOf(server, id);
  const state = await hub.snapshot(handle, { items: true });
  expect(job).toMatchObject({ ...ANSWER, status: 'completed', reason: 'tool_calls', usage: USAGE });
  expect(frames).toContain('"logprobs":{"content":[{"logprob":-1.50}]}');
  await server.gateway.close();

  const second = await start({ provider: handProvider().provider, data });
  expect(await second.job(id)).toEqual(job);
  expect(await framesOf(second, id)).toBe(frames);
  const restored = partOf(second, id);
  expect(await restored.hub.snapshot(restored.handle, { items: true })).toEqual(state);
  await second.gateway.close();

  const [line] = [...exported(data)].filter(({ type }) => type === 'job');
  expect(line).toMatchObject({ ...ANSWER, tokens: 10, usage: USAGE, raw_reason: 'tool_use' });
});

test('an estimate is one after a restart, too', async () => {
  const data = dataFile();
  const { server, id, hub, handle } = await startJob(data);
  hub.append(handle, 'a');
  hub.finish(handle, {
    type: 'complete',
    reason: 'stop',
    usage: { prompt_tokens: 3, completion_tokens: 9, estimated: true },
  });
  const { usage } = await server.ended(id);
  expect(usage).toEqual({
    ...{ prompt_tokens: 3, completion_tokens: 9, total_tokens: 12 },
    estimated: true,
  });
  await server.gateway.close();
  const second = await start({ provider: handProvider().provider, data });
  expect((await second.job(id)).usage).toEqual(usage);
});

test('an answer that a crash cut off keeps the entries that were written', async () => {
  const data = dataFile();
  const { id, hub, handle } = await startJob(data);
  for (const entry of ENTRIES.slice(0, 4)) hub.appendEntry(handle, entry);
  await hub.flush();
  const second = await start({ provider: handProvider().provider, data: afterCrash(data) });
  const job = await second.ended(id);
  expect(job).toMatchObject({
    status: 'failed',
    text: 'Grüße',
    reasoning: 'hm…',
    tool_calls: [{ id: 'call_a', function: { name: 'weather', arguments: '{"city":' } }],
  });
  const { events } = await second.read(`/v1/stream?job_id=${id}`);
  expect(events.map(({ type }) => type)).toEqual([
    ...['reasoning', 'token', 'tool_call', 'tool_call', 'job_error'],
  ]);
});

test('a whole log is restored whole', async () => {
  const data = dataFile();
  const limits = { logBytesMax: 4096, retentionMs: 3_600_000 };
  const provider = handProvider();
  const server = await start({ provider: provider.provider, data, ...limits });
  const { hub } = partsOf(server.gateway);
  const create = hub.create.bind(hub);
  hub.create = (options) => create({ ...options, whole: true });
  const id = (await server.submit({ prompt: 'hello' })).body.job_id;
  const call = await provider.call(0);
  for (let i = 0; i < 100; i += 1) call.push('0123456789'.repeat(10));
  call.end({ reason: 'stop' });
  const job = await server.ended(id);
  expect(job.text).toHaveLength(100 * 100);
  await server.gateway.close();
  const second = await start({ provider: provider.provider, data, ...limits });
  expect(await second.job(id)).toEqual(job);
});
