/** Reading a workflow whose texts exceed the size of an answer. */
import { answering, byId } from '../../../support/gateway/workflows.js';
import { start, stopAll } from '../../../support/gateway/gateway.js';

afterEach(stopAll);

const MI_B = 1 << 20;

/** A workflow that has ended. */
async function ended(nodes, answerOf) {
  const { provider } = answering(answerOf);
  const server = await start({ provider });
  const { body } = await server.post('/v1/workflows', { nodes });
  await server.read(body.stream_url);
  return { ...server, path: `/v1/workflows/${body.workflow_id}` };
}

test('texts beyond 4 MiB are omitted from the answer, and read one by one', async () => {
  const nodes = Array.from({ length: 8 }, (_, i) => ({ id: `n${i}`, prompt: `${i}` }));
  const { get, url, path } = await ended(nodes, (prompt) => prompt.repeat(MI_B));
  const response = await fetch(url + path);
  const text = await response.text();
  expect(text.length).toBeLessThan(4 * MI_B + 4096);
  const body = JSON.parse(text);
  expect(body).toMatchObject({ status: 'completed', has_more: false });
  expect(body.nodes).toHaveLength(8);
  const omitted = body.nodes.filter(({ text_omitted: is }) => is).map(({ id }) => id);
  expect(omitted).toEqual(['n3', 'n4', 'n5', 'n6', 'n7']);
  expect(byId(body).n0.text).toBe('0'.repeat(MI_B));
  expect(byId(body).n3.text).toBeUndefined();
  // Each one by itself has room.
  expect((await get(`${path}/nodes/n3`)).body).toMatchObject({
    id: 'n3',
    status: 'completed',
    text: '3'.repeat(MI_B),
  });
});

test('nodes come in pages', async () => {
  const nodes = Array.from({ length: 5 }, (_, i) => ({ id: `n${i}`, prompt: `${i}` }));
  const { get, path } = await ended(nodes, (prompt) => `text ${prompt}`);
  const ids = [];
  let query = '?limit=2';
  for (let page; page?.has_more !== false; query = `?limit=2&after=${ids.at(-1)}`) {
    page = (await get(path + query)).body;
    expect(page.nodes.length).toBeLessThanOrEqual(2);
    ids.push(...page.nodes.map(({ id }) => id));
  }
  expect(ids).toEqual(['n0', 'n1', 'n2', 'n3', 'n4']);
  for (const [wrong, param] of [
    ['?after=n9', 'after'],
    ['?limit=0', 'limit'],
    ['?limit=1001', 'limit'],
  ]) {
    expect(await get(path + wrong)).toMatchObject({ status: 400, body: { error: { param } } });
  }
});

test('a text beyond the size of any answer is sent whole, and so is a text of an item', async () => {
  // Two UTF-16 units each: a slice may not end within one.
  const face = '\u{1f600}';
  const { get, url, path } = await ended(
    [
      { id: 'list', prompt: 'list' },
      { id: 'each', after: ['list'], map: { over: 'list', prompt: '{{item}}' } },
    ],
    (prompt) => (prompt === 'list' ? '["a", "b"]' : prompt + face.repeat(MI_B)),
  );
  const node = (await get(`${path}/nodes/each`)).body;
  expect(node).toMatchObject({ id: 'each', text_omitted: true });
  expect(node.items).toBeUndefined();
  const response = await fetch(`${url}${path}/nodes/each/text`);
  expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
  expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  const [a, b] = ['a', 'b'].map((item) => item + face.repeat(MI_B));
  expect((await response.text()) === `${a}\n\n${b}`).toBe(true);
  const item = await fetch(`${url}${path}/nodes/each/text?item=1`);
  expect((await item.text()) === b).toBe(true);
  expect(await get(`${path}/nodes/each/text?item=2`)).toMatchObject({
    status: 400,
    body: { error: { param: 'item' } },
  });
  expect(await get(`${path}/nodes/other`)).toMatchObject({
    status: 404,
    body: { error: { code: 'node_not_found' } },
  });
});
