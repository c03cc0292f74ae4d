/** Entries of all kinds, and a hub's snapshots of an answer, in JavaScript. */
import { sharedReactor } from '../../../lib/internal/native/reactor.js';
import { streamEvents } from '../../../lib/streams/event-iterator.js';
import { JobHub } from '../../../lib/streams/hub.js';
import { hubOptions } from '../../support/streams/hub-options.js';

const job = { jobId: 'job_a', onDisconnect: 'cancel', disconnectGraceMs: 30_000, maxWallMs: 1e9 };

/** @type {JobHub[]} */
const hubs = [];
afterEach(() => hubs.splice(0).forEach((hub) => hub.close()));

function createHub(options) {
  const hub = new JobHub({ ...hubOptions, reactors: [sharedReactor()], ...options });
  hubs.push(hub);
  return hub;
}

/** Text, then an entry of every kind, then text again: in one turn of the event loop. */
function appendAll(hub, handle) {
  hub.append(handle, 'plain ');
  hub.appendEntry(handle, { kind: 'reasoning', text: 'thinking' });
  hub.appendEntry(handle, { kind: 'text', text: 'Grüße', aux: '{"content":[]}' });
  hub.appendEntry(handle, { kind: 'refusal', text: 'no' });
  hub.appendEntry(handle, { kind: 'tool_call', text: 'call_a', aux: 'weather' });
  hub.appendEntry(handle, { kind: 'tool_arguments', text: '{"city":' });
  hub.appendEntry(handle, { kind: 'tool_arguments', text: '"Ulm"}' });
  hub.appendEntry(handle, { kind: 'extra', text: '{"images":[1]}' });
  hub.append(handle, ' end');
}

test('entries keep their order and arrive as separate events', async () => {
  const hub = createHub();
  const handle = hub.create(job);
  hub.start(handle);
  appendAll(hub, handle);
  hub.finish(handle, { type: 'complete', reason: 'tool_calls', rawReason: 'tool_use' });
  const events = [];
  for await (const { type, data } of streamEvents(hub, { handle })) {
    const { job_id: _, ...rest } = data;
    events.push([type, rest]);
  }
  expect(events.slice(0, -1)).toEqual([
    ['token', { token: 'plain ' }],
    ['reasoning', { reasoning: 'thinking' }],
    ['token', { token: 'Grüße', logprobs: { content: [] } }],
    ['refusal', { refusal: 'no' }],
    ['tool_call', { index: 0, id: 'call_a', name: 'weather', arguments: '' }],
    ['tool_call', { index: 0, arguments: '{"city":' }],
    ['tool_call', { index: 0, arguments: '"Ulm"}' }],
    ['extra', { delta: { images: [1] } }],
    ['token', { token: ' end' }],
  ]);
  expect(events.at(-1)).toMatchObject(['job_complete', { reason: 'tool_calls' }]);
  expect(events.at(-1)[1].metrics.tokens).toBe(9);
});

test('a snapshot has the answer by kind, and its items on request', async () => {
  const hub = createHub();
  const handle = hub.create(job);
  appendAll(hub, handle);
  const state = await hub.snapshot(handle);
  expect(state).toMatchObject({
    text: 'plain Grüße end',
    reasoning: 'thinking',
    refusal: 'no',
    tool_calls: [
      {
        id: 'call_a',
        type: 'function',
        function: { name: 'weather', arguments: '{"city":"Ulm"}' },
      },
    ],
  });
  expect(state).not.toHaveProperty('items');
  const { items, text } = await hub.snapshot(handle, { text: false, items: true });
  expect(text).toBeUndefined();
  expect(items).toEqual([
    { kind: 'text', text: 'plain ' },
    { kind: 'reasoning', text: 'thinking' },
    { kind: 'text', text: 'Grüße', logprobs: [{ content: [] }] },
    { kind: 'refusal', text: 'no' },
    { kind: 'tool_call', id: 'call_a', name: 'weather', arguments: '{"city":"Ulm"}' },
    { kind: 'extra', delta: { images: [1] } },
    { kind: 'text', text: ' end' },
  ]);
});

test('an entry counts in the window, and one of an unknown kind is refused', () => {
  const hub = createHub({ streamCapacity: 2 });
  const handle = hub.create(job);
  expect(hub.appendEntry(handle, { kind: 'reasoning', text: 'a' })).toBe(true);
  expect(() => hub.appendEntry(handle, { kind: 'image', text: 'a' })).toThrow(
    new TypeError('There is no entry kind "image".'),
  );
  expect(() => hub.appendEntry(handle, { kind: 'toString', text: 'a' })).toThrow(TypeError);
  expect(hub.appendEntry(handle, { kind: 'reasoning', text: 'b' })).toBe(false);
});

test('the first entry of a job with announce is an event, once', async () => {
  const hub = createHub();
  const begun = [];
  hub.events.on('begun', (handle) => begun.push(handle));
  const silent = hub.create(job);
  const announced = hub.create({ ...job, announce: true });
  hub.append(silent, 'a');
  await hub.barrier();
  expect(begun).toEqual([]);
  hub.appendEntry(announced, { kind: 'reasoning', text: 'a' });
  hub.append(announced, 'b');
  await hub.barrier();
  expect(begun).toEqual([announced]);
});

test('a whole log keeps its beginning', async () => {
  const hub = createHub({ logBytesMax: 1000 });
  const [whole, trimmed] = [true, false].map((keeps) => hub.create({ ...job, whole: keeps }));
  for (const handle of [whole, trimmed]) {
    for (let i = 0; i < 100; i += 1) hub.append(handle, '0123456789');
  }
  expect(await hub.snapshot(whole)).toMatchObject({ text: '0123456789'.repeat(100) });
  expect(await hub.snapshot(trimmed)).toMatchObject({ text_truncated: true });
});

test.each([
  ['the counts', { prompt_tokens: 3, completion_tokens: 4 }, { total_tokens: 7 }],
  ['an estimate', { prompt_tokens: 3, completion_tokens: 4, estimated: true }, { total_tokens: 7 }],
  ['a total of its own', { prompt_tokens: 3, completion_tokens: 4, total_tokens: 9 }, {}],
  [
    'members of the upstream',
    {
      prompt_tokens: 3,
      completion_tokens: 4,
      completion_tokens_details: { reasoning_tokens: 2 },
      cost: 0.1,
    },
    { total_tokens: 7 },
  ],
])('usage with %s is passed on whole', async (_, usage, added) => {
  const hub = createHub();
  const handle = hub.create(job);
  hub.finish(handle, { type: 'complete', reason: 'stop', usage });
  const state = await hub.snapshot(handle);
  expect(state.usage).toEqual({ ...usage, ...added });
  for await (const { data } of streamEvents(hub, { handle })) {
    expect(data.usage).toEqual(state.usage);
  }
});

test('unreported usage is an estimate', async () => {
  const hub = createHub();
  const handle = hub.create({ ...job, promptTokens: 5 });
  hub.append(handle, 'a');
  const counted = {
    prompt_tokens: 5,
    completion_tokens: 1,
    total_tokens: 6,
    estimated: true,
  };
  expect((await hub.snapshot(handle)).usage).toEqual(counted);
  hub.finish(handle, { type: 'complete', reason: 'stop', rawReason: 'eos' });
  expect(await hub.snapshot(handle)).toMatchObject({ usage: counted, raw_reason: 'eos' });
});
