/** Maps: one prompt for each item of a list. */
import { answering, byId, tokensOf, words } from '../../../support/gateway/workflows.js';
import { start, stopAll } from '../../../support/gateway/gateway.js';
import { handProvider } from '../../../support/providers/providers.js';
import { until } from '../../../support/until.js';

afterEach(stopAll);

const mapped = (map = {}, rest = {}) => [
  { id: 'list', prompt: 'list' },
  { id: 'each', map: { over: 'list', prompt: 'do {{item}}', ...map }, after: ['list'], ...rest },
  { id: 'end', prompt: '{{each.text}}', after: ['each'] },
];

async function run(list, nodes = mapped()) {
  const { provider, prompts } = answering((prompt) => (prompt === 'list' ? list : `[${prompt}]`));
  const server = await start({ provider });
  const { body: created } = await server.post('/v1/workflows', { nodes });
  const { events } = await server.read(created.stream_url);
  const { body } = await server.get(`/v1/workflows/${created.workflow_id}`);
  return { events, prompts, nodes: byId(body), body };
}

test.each([
  ['lines', 'one\r\n\n  two  \nthree', ['one', 'two', 'three']],
  ['a list with markers', '- one\n* two\n3. three\n4) -5', ['one', 'two', 'three', '-5']],
  ['a JSON array', ' ["one", 2, {"text": "three"}, {"a": 1}] ', ['one', '2', 'three', '{"a":1}']],
  ['a JSON array in a code block', '```json\n["one"]\n```', ['one']],
  ['brackets that are no JSON', '[one\ntwo', ['[one', 'two']],
])('%s', async (_name, list, items) => {
  const { prompts, nodes, events } = await run(list);
  expect(prompts.slice(1, -1).sort()).toEqual(items.map((item) => `do ${item}`).sort());
  const texts = items.map((item) => `[do ${item}]`);
  expect(nodes.each).toMatchObject({
    type: 'map',
    status: 'completed',
    items: texts,
    text: texts.join('\n\n'),
  });
  expect(prompts.at(-1)).toBe(texts.join('\n\n'));
  const progress = events.filter(({ type }) => type === 'node_progress');
  expect(progress.map(({ data }) => data.done)).toEqual(items.map((_, i) => i + 1));
  expect(progress.map(({ data }) => data.item).sort()).toEqual(items.map((_, i) => i));
});

test('fields of items, and texts of other nodes beside them', async () => {
  const list = JSON.stringify([{ name: 'x', n: 1, text: 'tx' }, { name: 'y' }, 'plain']);
  const { prompts } = await run(list, [
    { id: 'list', prompt: 'list' },
    { id: 'other', prompt: 'o', after: ['list'] },
    {
      id: 'each',
      map: { over: 'list', prompt: '{{item.name}}/{{item.n}}/{{item}}/{{other.text}}' },
      after: ['list', 'other'],
    },
  ]);
  expect(prompts.slice(2).sort()).toEqual(['//plain/[o]', 'x/1/tx/[o]', 'y//{"name":"y"}/[o]']);
});

test('a map over a map has its texts; tokens name their item', async () => {
  const { nodes, events } = await run('a\nb', [
    ...mapped().slice(0, 2),
    { id: 'again', map: { over: 'each', prompt: '{{item}}!' }, after: ['each'] },
  ]);
  expect(nodes.again.items).toEqual(['[[do a]!]', '[[do b]!]']);
  const ofSecond = events.filter(({ data }) => data.node === 'each' && data.item === 1);
  expect(tokensOf(ofSecond, 'each')).toBe('[do b]');
});

test('an empty list is done at once', async () => {
  const { nodes, prompts } = await run('[]', mapped().slice(0, 2));
  expect(nodes.each).toMatchObject({ status: 'completed', items: [], text: '' });
  expect(prompts).toEqual(['list']);
});

test('too long a list is refused, and not cut', async () => {
  const { nodes, prompts } = await run('x\n'.repeat(1001), mapped().slice(0, 2));
  expect(nodes.each).toMatchObject({ status: 'failed', error: { code: 'too_many_items' } });
  expect(prompts).toHaveLength(1);
});

test('no more items at once than its `concurrency`, in batches if the provider takes them', async () => {
  const batches = [];
  const provider = {
    name: 'batching',
    models: [],
    takesBatches: true,
    enforcesMaxTokens: false,
    async *generateBatch(requests) {
      batches.push(requests.length);
      for (const [index, { prompt }] of requests.entries()) {
        yield { index, text: prompt === 'list' ? 'x\n'.repeat(20) : 'y' };
        yield { index, end: {} };
      }
    },
  };
  const { post, read } = await start({ provider, batching: { maxBatchSize: 8, idleFlushMs: 20 } });
  const { body } = await post('/v1/workflows', { nodes: mapped({ concurrency: 10 }) });
  expect((await read(body.stream_url)).events.at(-1).type).toBe('workflow_complete');
  expect(batches[0]).toBe(1);
  expect(batches[1]).toBe(8);
  expect(Math.max(...batches)).toBe(8);
});

test('a failing item fails the node, and the other items are not run', async () => {
  const { provider, call, calls } = handProvider();
  const { post, stream } = await start({ provider });
  const { body } = await post('/v1/workflows', { nodes: mapped({ concurrency: 2 }) });
  const open = await stream(body.stream_url);
  const list = await call(0);
  list.push('a\nb\nc\nd');
  list.end();
  const [first, second] = [await call(1), await call(2)];
  first.fail(new Error('no'));
  await second.aborted;
  const events = await open.done;
  expect(calls).toHaveLength(3);
  expect(words(events).slice(-3)).toEqual([
    'node_failed each',
    'node_skipped end',
    'workflow_failed',
  ]);
});

test('a retry runs only the missing items', async () => {
  const prompts = [];
  const provider = async function* provider({ prompt }) {
    prompts.push(prompt);
    if (prompt === 'list') yield 'a\nb\nc';
    else if (prompt === 'do b' && prompts.filter((p) => p === prompt).length < 3) {
      throw new Error('no');
    } else yield prompt;
  };
  const { post, read } = await start({ provider });
  const retry = { attempts: 3, base_ms: 1, cap_ms: 1 };
  const { body } = await post('/v1/workflows', { nodes: mapped({ concurrency: 1 }, { retry }) });
  const { events } = await read(body.stream_url);
  expect(prompts.slice(0, -1)).toEqual(['list', 'do a', 'do b', 'do b', 'do b', 'do c']);
  const retries = events.filter(({ type }) => type === 'node_retry');
  expect(retries.map(({ data }) => data.items)).toEqual([
    [1, 2],
    [1, 2],
  ]);
  expect(events.at(-1).type).toBe('workflow_complete');
});

test('a cancelled map stops all items', async () => {
  const { provider, call, calls } = handProvider();
  const { post, stream } = await start({ provider, maxConcurrency: 2 });
  const { body } = await post('/v1/workflows', { nodes: mapped() });
  const open = await stream(body.stream_url);
  const list = await call(0);
  list.push('x\n'.repeat(40));
  list.end();
  await call(2);
  await post(`/v1/workflows/${body.workflow_id}/cancel`);
  expect((await open.done).at(-1).type).toBe('workflow_cancelled');
  await until(() => calls.every(({ returned }) => returned), 'the calls to be let go');
  expect(calls).toHaveLength(3);
});
