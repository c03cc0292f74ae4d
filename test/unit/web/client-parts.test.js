/** Parts of an answer beside its text, in the browser client. */
import { EventSource } from 'eventsource';
import { createClient } from '../../../web/client.js';
import { ScriptedGateway } from '../../support/client/scripted-gateway.js';
import { until } from '../../support/until.js';

const METRICS = { queue_ms: 1, ttft_ms: 2, duration_ms: 3, tokens: 9, tokens_per_second: 4 };
const PARTS = [
  ['reasoning', { reasoning: 'Let me ' }],
  ['reasoning', { reasoning: 'think.' }],
  ['token', { token: 'Hi' }],
  ['refusal', { refusal: 'No.' }],
  ['tool_call', { index: 0, id: 'call_a', name: 'weather', arguments: '' }],
  ['tool_call', { index: 0, arguments: '{"city":' }],
  ['tool_call', { index: 0, arguments: '"Ulm"}' }],
  ['tool_call', { index: 1, id: 'call_b', name: 'time', arguments: '' }],
  ['extra', { delta: { images: [1] } }],
];
const CALLS = [
  { id: 'call_a', type: 'function', function: { name: 'weather', arguments: '{"city":"Ulm"}' } },
  { id: 'call_b', type: 'function', function: { name: 'time', arguments: '' } },
];
const NAMES = ['token', 'reasoning', 'refusal', 'tool_call', 'extra', 'gap', 'retry'];

/** @type {ScriptedGateway} */
let gateway;
/** @type {ReturnType<typeof createClient>} */
let client;

beforeEach(async () => {
  gateway = await new ScriptedGateway().listen();
  client = createClient({ baseUrl: gateway.url, EventSource });
});

afterEach(async () => {
  client.close();
  await gateway.close();
});

/** Emits events of the job from `seq` on. */
function emit(id, events, seq = 1) {
  events.forEach(([type, data], i) => gateway.emit(id, `1-${seq + i}`, type, data));
}

/** All calls of the job's listeners. */
function record(job) {
  const seen = [];
  for (const name of NAMES) job.on(name, (value, about) => seen.push([name, value, about?.id]));
  return seen;
}

test('each part has its property and its event, and the iteration has the text alone', async () => {
  const job = client.attach(gateway.addJob('job_x'));
  const seen = record(job);
  const texts = [];
  const reading = (async () => {
    for await (const text of job) texts.push(text);
  })();
  await until(() => gateway.streams === 1);
  emit(job.id, PARTS);
  gateway.emit(job.id, '1-10', 'job_complete', { reason: 'tool_calls', metrics: METRICS });
  const result = await job.done;
  await reading;
  expect(texts).toEqual(['Hi']);
  expect(seen).toEqual([
    ['reasoning', 'Let me ', '1-1'],
    ['reasoning', 'think.', '1-2'],
    ['token', 'Hi', '1-3'],
    ['refusal', 'No.', '1-4'],
    ['tool_call', { index: 0, id: 'call_a', name: 'weather', arguments: '' }, '1-5'],
    ['tool_call', { index: 0, arguments: '{"city":' }, '1-6'],
    ['tool_call', { index: 0, arguments: '"Ulm"}' }, '1-7'],
    ['tool_call', { index: 1, id: 'call_b', name: 'time', arguments: '' }, '1-8'],
    ['extra', { images: [1] }, '1-9'],
  ]);
  const parts = { text: 'Hi', reasoning: 'Let me think.', refusal: 'No.', toolCalls: CALLS };
  expect(result).toMatchObject({ status: 'completed', reason: 'tool_calls', ...parts });
  expect(job).toMatchObject({ ...parts, tokens: 9, lastEventId: '1-10' });
});

test('a cut at every event loses no part and doubles none', async () => {
  const job = client.attach(gateway.addJob('job_x'));
  for (const [i, event] of PARTS.entries()) {
    await until(() => gateway.streams === 1);
    emit(job.id, [event], i + 1);
    await until(() => job.tokens === i + 1);
    gateway.cut();
  }
  expect(job).toMatchObject({ reasoning: 'Let me think.', refusal: 'No.', toolCalls: CALLS });
});

test('the array of calls changes with each event, and its earlier values stay', async () => {
  const job = client.attach(gateway.addJob('job_x'));
  const values = [];
  job.on('tool_call', () => values.push(job.toolCalls));
  await until(() => gateway.streams === 1);
  emit(job.id, PARTS);
  await until(() => values.length === 4);
  expect(values.map((calls) => calls.map((call) => call.function.arguments))).toEqual([
    [''],
    ['{"city":'],
    ['{"city":"Ulm"}'],
    ['{"city":"Ulm"}', ''],
  ]);
});

test('a new attempt discards all parts', async () => {
  const job = client.attach(gateway.addJob('job_x'));
  await until(() => gateway.streams === 1);
  emit(job.id, PARTS);
  await until(() => job.tokens === 9);
  gateway.emit(job.id, '2-0', 'job_retry', { attempt: 2 });
  gateway.emit(job.id, '2-1', 'reasoning', { reasoning: 'again' });
  await until(() => job.reasoning === 'again');
  expect(job).toMatchObject({ text: '', refusal: '', toolCalls: [], tokens: 1 });
});

describe('a job that has ended while its stream was refused', () => {
  const view = {
    status: 'completed',
    text: 'Hi',
    reasoning: 'Let me think.',
    refusal: 'No.',
    tool_calls: CALLS,
    reason: 'tool_calls',
    metrics: METRICS,
  };

  /** Receives `before`, then the job's view in place of its stream. */
  async function finishFromView(before) {
    const job = client.attach(gateway.addJob('job_x'));
    await until(() => gateway.streams === 1);
    emit(job.id, before);
    await until(() => job.tokens === before.length);
    const seen = record(job);
    gateway.refusals.push({ path: '/v1/stream', status: 503 });
    gateway.refusals.push({
      path: '/v1/jobs/job_x',
      status: 200,
      body: { job_id: job.id, ...view },
    });
    gateway.cut();
    await job.done;
    return { job, seen };
  }

  test.each([0, 1, 3, 5, 6, 8])('gets the missing text after %i events', async (count) => {
    const { job, seen } = await finishFromView(PARTS.slice(0, count));
    const { text, reasoning, refusal } = view;
    expect(job).toMatchObject({ text, reasoning, refusal, toolCalls: CALLS, tokens: 9 });
    expect(seen.map(([name]) => name)).not.toContain('gap');
  });

  test('starts over when it had something else', async () => {
    const { job, seen } = await finishFromView([['reasoning', { reasoning: 'Other.' }]]);
    expect(job.reasoning).toBe('Let me think.');
    expect(seen[0][0]).toBe('gap');
  });
});
