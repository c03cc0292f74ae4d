/** `/v1/embeddings` as the unmodified OpenAI client sees it. */
import { start, stopAll } from '../../../support/gateway/gateway.js';
import { startBefore } from '../../../support/gateway/upstream.js';
import { openaiOf } from '../../../support/client/openai.js';

/** A vector determined by its input, exact in float32. @param {string} text */
const vectorOf = (text) => [text.length, 0.5, -2];

/** @param {number[]} vector */
const base64Of = (vector) => Buffer.from(Float32Array.from(vector).buffer).toString('base64');

let upstream;
afterEach(stopAll);

/** @param {any} exchange @param {number} status @param {object} body */
function answer(exchange, status, body) {
  exchange.open(status, { 'content-type': 'application/json' });
  void exchange.raw(JSON.stringify(body));
  exchange.end();
}

/** @param {any} exchange */
function embed(exchange, { floats = false } = {}) {
  const { input } = exchange.body;
  const data = input.map((text, index) => {
    const vector = vectorOf(text);
    return { object: 'embedding', index, embedding: floats ? vector : base64Of(vector) };
  });
  answer(exchange, 200, { data: data.reverse(), model: 'e', usage: { prompt_tokens: 10 } });
}

async function serve(respond = embed, options = {}) {
  const served = await startBefore(respond, { retry: { attempts: 1 }, ...options });
  upstream = served.upstream;
  return { ...served, openai: openaiOf(served) };
}

test('concurrent requests share one call; each gets its own vectors and its share of the usage', async () => {
  const { openai, post } = await serve(embed, { embeddings: { idleMs: 50, maxWaitMs: 500 } });
  const [one, two, floats] = await Promise.all([
    openai.embeddings.create({ model: 'e', input: ['a', 'bb'] }),
    openai.embeddings.create({ model: 'e', input: 'ccc' }),
    post('/v1/embeddings', { model: 'e', input: ['dddd'], encoding_format: 'float' }),
  ]);
  expect(upstream.exchanges).toHaveLength(1);
  expect(upstream.exchanges[0].body).toMatchObject({ model: 'e', encoding_format: 'base64' });
  expect(upstream.exchanges[0].body.input).toHaveLength(4);
  expect(one.data.map(({ embedding }) => embedding)).toEqual([vectorOf('a'), vectorOf('bb')]);
  expect(two.data[0].embedding).toEqual(vectorOf('ccc'));
  expect(floats.body.data[0]).toEqual({
    object: 'embedding',
    index: 0,
    embedding: vectorOf('dddd'),
  });
  const shares = [one, two, floats.body].map(({ usage }) => usage.prompt_tokens);
  expect(shares.reduce((a, b) => a + b)).toBe(10);
  expect(Math.min(...shares)).toBeGreaterThanOrEqual(1);
});

test('requests that differ in more than their inputs are apart', async () => {
  const { post } = await serve();
  await Promise.all([
    post('/v1/embeddings', { model: 'e', input: 'a', dimensions: 3 }),
    post('/v1/embeddings', { model: 'e', input: 'b' }),
    post('/v1/embeddings', { model: 'f', input: 'c' }),
  ]);
  const calls = upstream.exchanges.map(({ body: { model, dimensions } }) => [model, dimensions]);
  expect(calls.sort()).toEqual(
    [
      ['e', undefined],
      ['e', 3],
      ['f', undefined],
    ].sort(),
  );
});

test('after a refusal of base64 all calls request numbers', async () => {
  const { post } = await serve((exchange) => {
    if (exchange.body.encoding_format !== 'base64') return embed(exchange, { floats: true });
    return answer(exchange, 400, { error: { message: "unknown encoding_format 'base64'" } });
  });
  const ask = () => post('/v1/embeddings', { model: 'e', input: 'abc', encoding_format: 'base64' });
  expect((await ask()).body.data[0].embedding).toBe(base64Of(vectorOf('abc')));
  await ask();
  expect(upstream.exchanges.map(({ body }) => body.encoding_format)).toEqual([
    'base64',
    'float',
    'float',
  ]);
});

test("a refusal is its sender's only", async () => {
  const error = { message: 'bad input', type: 't', code: 'c', param: 'input' };
  const { post } = await serve(
    (exchange) => {
      if (exchange.body.input.includes('bad')) return answer(exchange, 400, { error });
      return embed(exchange);
    },
    { embeddings: { idleMs: 50, maxWaitMs: 500 } },
  );
  const [good, bad] = await Promise.all([
    post('/v1/embeddings', { model: 'e', input: 'good' }),
    post('/v1/embeddings', { model: 'e', input: 'bad' }),
  ]);
  expect(good.status).toBe(200);
  expect([bad.status, bad.body.error]).toEqual([400, error]);
  expect(upstream.exchanges).toHaveLength(3);
});

test('a member `user` is passed where all requests of a call agree in it', async () => {
  const { post } = await serve(embed, { embeddings: { idleMs: 50, maxWaitMs: 500 } });
  const ask = (user, input) => post('/v1/embeddings', { model: 'e', input, user });
  await ask('ann', 'a');
  await Promise.all([ask('ann', 'b'), ask('bob', 'c')]);
  expect(upstream.exchanges.map(({ body }) => body.user)).toEqual(['ann', undefined]);
});

test('a request may follow one that was aborted before their shared call', async () => {
  const { url, post } = await serve(embed, { embeddings: { idleMs: 300, maxWaitMs: 1000 } });
  const departure = new AbortController();
  const left = fetch(`${url}/v1/embeddings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'e', input: 'gone' }),
    signal: departure.signal,
  }).catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 50));
  departure.abort();
  await left;
  const { status, body } = await post('/v1/embeddings', { model: 'e', input: 'abc' });
  expect([status, body.data?.[0].embedding]).toEqual([200, vectorOf('abc')]);
  expect(upstream.exchanges.map(({ body: { input } }) => input)).toEqual([['abc']]);
});

test('a call for one of several requests ends when that request is aborted', async () => {
  const { url } = await serve(
    (exchange) => {
      // Each of them alone gets no answer.
      if (exchange.body.input.length > 1) {
        answer(exchange, 413, { error: { message: 'too large' } });
      }
    },
    { embeddings: { idleMs: 50, maxWaitMs: 500 } },
  );
  const ask = (input, { signal }) =>
    fetch(`${url}/v1/embeddings`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'e', input }),
      signal,
    }).catch(() => {});
  const [one, two] = [new AbortController(), new AbortController()];
  const requests = [ask('one', one), ask('two', two)];
  await upstream.exchange(2);
  const alone = (input) => upstream.exchanges.find(({ body }) => body.input.join() === input);
  one.abort();
  await alone('one').closed;
  expect(alone('two').closedAtMs).toBeUndefined();
  two.abort();
  await alone('two').closed;
  await Promise.all(requests);
});

test('inputs of many tokens are accepted', async () => {
  const { post } = await serve((exchange) => {
    const data = exchange.body.input.map((tokens, index) => ({
      index,
      embedding: [tokens.length],
    }));
    answer(exchange, 200, { data });
  });
  const input = Array.from({ length: 1000 }, () => Array.from({ length: 600 }, (_, i) => i));
  const { status, body } = await post('/v1/embeddings', { model: 'e', input });
  expect([status, body.data?.length, body.data?.[999].embedding]).toEqual([200, 1000, [600]]);
});

test('vectors without an index are in the order of the inputs', async () => {
  const { post } = await serve((exchange) => {
    const data = exchange.body.input.map((text) => ({ embedding: vectorOf(text) }));
    answer(exchange, 200, { data, usage: { prompt_tokens: 2 } });
  });
  const { body } = await post('/v1/embeddings', { model: 'e', input: ['a', 'bb'] });
  expect(body.data.map(({ embedding }) => embedding)).toEqual([vectorOf('a'), vectorOf('bb')]);
});

test.each([
  [{}, 'input'],
  [{ input: [] }, 'input'],
  [{ input: '' }, 'input'],
  [{ input: ['a', ''] }, 'input[1]'],
  [{ input: ['a', [1]] }, 'input[1]'],
  [{ input: 'a', encoding_format: 'hex' }, 'encoding_format'],
  [{ input: Array.from({ length: 2049 }, () => 'a') }, 'input'],
])('a bad request names the member', async (body, param) => {
  const { post } = await serve();
  const { status, body: refusal } = await post('/v1/embeddings', { model: 'e', ...body });
  expect([status, refusal.error.param]).toEqual([400, param]);
});

test('a provider without embeddings refuses', async () => {
  async function* provider() {
    yield 'x';
  }
  const { post } = await start({ provider });
  const { status, body } = await post('/v1/embeddings', { model: 'e', input: 'a' });
  expect([status, body.error.code]).toEqual([400, 'unsupported_feature']);
});
