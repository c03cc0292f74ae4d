/** Workflows that are refused, and the field that the error names. */
import { start, stopAll } from '../../../support/gateway/gateway.js';
import { echo } from '../../../support/providers/providers.js';
import { providers } from '../../../../lib/index.js';

afterEach(stopAll);

describe('refused', () => {
  const p = 'x';
  test.each([
    [{}, 'missing_field', 'nodes'],
    [{ nodes: [] }, 'invalid_value', 'nodes'],
    [{ nodes: 7 }, 'invalid_type', 'nodes'],
    [{ nodes: [{ prompt: p }] }, 'missing_field', 'nodes[0].id'],
    [{ nodes: [{ id: 'a b', prompt: p }] }, 'invalid_value', 'nodes[0].id'],
    [{ nodes: [{ id: 'item', prompt: p }] }, 'invalid_value', 'nodes[0].id'],
    [{ nodes: [{ id: 'a' }] }, 'missing_field', 'nodes[0].prompt'],
    [{ nodes: [{ id: 'a', prompt: p, extra: 1 }] }, 'unknown_field', 'nodes[0].extra'],
    [
      { nodes: [{ id: 'a', prompt: p, messages: [{ role: 'user', content: 'x' }] }] },
      'invalid_value',
      'nodes[0].messages',
    ],
    [{ nodes: [{ id: 'a', prompt: p, max_tokens: 0 }] }, 'invalid_value', 'nodes[0].max_tokens'],
    [
      { nodes: [{ id: 'a', prompt: p, retry: { attempts: 0 } }] },
      'invalid_value',
      'nodes[0].retry.attempts',
    ],
    [
      { nodes: [{ id: 'a', prompt: p, on_failure: 'stop' }] },
      'invalid_value',
      'nodes[0].on_failure',
    ],
    [{ nodes: [{ id: 'a', prompt: p, after: [''] }] }, 'invalid_value', 'nodes[0].after[0]'],
    [{ nodes: [{ id: 'a', prompt: p }], concurrency: 101 }, 'invalid_value', 'concurrency'],
    [
      {
        nodes: [
          { id: 'a', prompt: p },
          { id: 'a', prompt: p },
        ],
      },
      'graph_duplicate',
      'nodes[1].id',
    ],
    [
      {
        nodes: [
          { id: 'a', prompt: p },
          { id: 'b', prompt: p, after: ['a', 'ghost'] },
        ],
      },
      'graph_unknown',
      'nodes[1].after[1]',
    ],
    [{ nodes: [{ id: 'a', prompt: p, after: ['a'] }] }, 'graph_cycle', 'nodes'],
    [
      {
        nodes: [
          { id: 'a', prompt: p },
          { id: 'b', prompt: p, after: ['a'] },
          { id: 'c', prompt: '{{b.text}} {{a.text}}', after: ['b'] },
        ],
      },
      'invalid_value',
      'nodes[2].prompt',
    ],
    [{ nodes: [{ id: 'a', prompt: 'x {{nobody.text}}' }] }, 'invalid_value', 'nodes[0].prompt'],
    [
      {
        nodes: [
          { id: 'a', prompt: p },
          { id: 'b', prompt: '{{a}}', after: ['a'] },
        ],
      },
      'invalid_value',
      'nodes[1].prompt',
    ],
    [{ nodes: [{ id: 'a', prompt: '{{item}}' }] }, 'invalid_value', 'nodes[0].prompt'],
    [
      { nodes: [{ id: 'a', messages: [{ role: 'user', content: '{{b.text}}' }] }] },
      'invalid_value',
      'nodes[0].messages[0].content',
    ],
    [
      {
        nodes: [
          { id: 'a', prompt: p },
          { id: 'm', map: { over: 'a', prompt: '{{item}}' } },
        ],
      },
      'invalid_value',
      'nodes[1].map.over',
    ],
    [{ nodes: [{ id: 'a', crawl: {} }] }, 'missing_field', 'nodes[0].crawl.start_url'],
  ])('%j', async (body, code, param) => {
    const { post, get } = await start({ provider: echo });
    const answer = await post('/v1/workflows', body);
    expect(answer).toMatchObject({
      status: 400,
      body: { error: { code, param, type: 'invalid_request_error' } },
    });
    expect((await get('/v1/workflows')).body.data).toEqual([]);
  });

  test('a cycle names its path in order', async () => {
    const { post, gateway } = await start({ provider: echo });
    const nodes = ['a', 'b', 'c'].map((id, i) => ({ id, prompt: p, after: ['cab'[i]] }));
    const { body } = await post('/v1/workflows', { nodes });
    expect(body.error.message).toContain('"a" -> "b" -> "c" -> "a"');
    await expect(gateway.submitWorkflow({ nodes })).rejects.toMatchObject({
      code: 'ERR_GRAPH_CYCLE',
      path: ['a', 'b', 'c'],
    });
  });

  test('more than 1000 nodes, an unknown model, a body without JSON', async () => {
    const { post, call } = await start({ provider: providers.demo({ tokenIntervalMs: 0 }) });
    const nodes = Array.from({ length: 1001 }, (_, i) => ({ id: `n${i}`, prompt: p }));
    expect((await post('/v1/workflows', { nodes })).body.error).toMatchObject({
      code: 'invalid_value',
      param: 'nodes',
    });
    const other = await post('/v1/workflows', { nodes: [{ id: 'a', prompt: p, model: 'none' }] });
    expect([other.status, other.body.error.param]).toEqual([404, 'nodes[0].model']);
    const text = await call('POST', '/v1/workflows', {
      raw: 'x',
      headers: { 'content-type': 'text/plain' },
    });
    expect(text.status).toBe(415);
  });
});
