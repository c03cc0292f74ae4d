/** The endpoints of other APIs over several upstreams, and over one of Anthropic's API. */
import Anthropic from '@anthropic-ai/sdk';
import { providers } from '../../../../lib/index.js';
import { cleanUp, start, stopAll } from '../../../support/gateway/gateway.js';
import { startMockUpstream, streamTokens } from '../../../support/upstream/mock-upstream.js';
import * as anthropic from '../../../support/upstream/anthropic-upstream.js';

afterEach(stopAll);

const retry = { attempts: 1, baseMs: 1, capMs: 1 };
const messages = [{ role: 'user', content: 'hi' }];

async function upstream(name, respond = streamTokens({ tokens: ['from ', name] }), more = {}) {
  const mock = await startMockUpstream(respond);
  cleanUp(() => mock.close());
  return { mock, config: { name, base_url: mock.url, ...more } };
}

async function claude(...events) {
  const mock = await anthropic.startAnthropic(anthropic.streamEvents(...events));
  cleanUp(() => mock.close());
  return { mock, config: { name: 'claude', base_url: mock.url, dialect: 'anthropic' } };
}

const serve = (...upstreams) =>
  start({
    provider: providers.route({ upstreams: upstreams.map(({ config }) => config) }),
    retry,
  });

const fails =
  (status, headers = {}) =>
  (exchange) => {
    exchange.open(status, { 'content-type': 'application/json', ...headers });
    exchange.res.end('{"error":{"message":"no","type":"t","code":"c"}}');
  };

describe('/v1/chat/completions', () => {
  test('names the upstream that answered', async () => {
    const { post } = await serve(await upstream('a', fails(500)), await upstream('b'));
    for (const stream of [false, true]) {
      const { status, headers, body } = await post('/v1/chat/completions', {
        model: 'm',
        messages,
        stream,
      });
      expect([status, headers.get('x-sluice-upstream')]).toEqual([200, 'b']);
      expect(JSON.stringify(body)).toContain('from ');
    }
  });

  test('names it where it failed, too', async () => {
    const { post } = await serve(await upstream('a', fails(401)));
    const { status, headers, body } = await post('/v1/chat/completions', { model: 'm', messages });
    expect([status, headers.get('x-sluice-upstream'), body.error.code]).toEqual([
      502,
      'a',
      'upstream_unauthorized',
    ]);
  });

  test('answers 503 while every upstream is closed, and 404 where none has the model', async () => {
    const a = await upstream('a', fails(429, { 'retry-after': '7' }), { models: ['m'] });
    const { post } = await serve(a);
    const ask = (model) => post('/v1/chat/completions', { model, messages });
    const limited = await ask('m');
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '7']);
    const closed = await ask('m');
    expect([closed.status, closed.body.error.code]).toEqual([503, 'upstream_unavailable']);
    expect(Number(closed.headers.get('retry-after'))).toBeGreaterThan(5);
    expect((await ask('x')).status).toBe(404);
    expect(a.mock.exchanges).toHaveLength(1);
  });
});

describe('/v1/embeddings', () => {
  const embeds = (exchange) => {
    exchange.open(200, { 'content-type': 'application/json' });
    const data = [].concat(exchange.body.input).map((_, index) => ({ index, embedding: [index] }));
    exchange.res.end(JSON.stringify({ data, usage: { prompt_tokens: 2 } }));
  };
  const ask = ({ post }) => post('/v1/embeddings', { model: 'e', input: ['a', 'b'] });

  test('go on at another upstream, under its name of the model', async () => {
    const a = await upstream('a', fails(503), { models: ['e'] });
    const b = await upstream('b', embeds, { models: { e: 'their-e' } });
    const { status, body } = await ask(await serve(await claude(), a, b));
    expect([status, body.data.length]).toEqual([200, 2]);
    expect(b.mock.exchanges[0].body.model).toBe('their-e');
    expect(a.mock.exchanges).toHaveLength(1);
  });

  test('of an upstream that makes none', async () => {
    const { status, body } = await ask(await serve(await claude()));
    expect([status, body.error]).toEqual([
      400,
      {
        message: 'The upstream claude makes no embeddings',
        type: 'invalid_request_error',
        code: 'unsupported_feature',
        param: 'model',
      },
    ]);
  });

  test('answer 503 while every upstream is closed', async () => {
    const gateway = await serve(await upstream('a', fails(500)));
    for (let i = 0; i < 3; i += 1) expect((await ask(gateway)).status).toBe(502);
    const { status, headers } = await ask(gateway);
    expect([status, Number(headers.get('retry-after')) > 20]).toEqual([503, true]);
  });
});

describe('/v1/messages over the dialect anthropic', () => {
  test('the request goes on as it came', async () => {
    const hello = [anthropic.start(), ...anthropic.text(0, 'hi'), ...anthropic.stop()];
    const a = await claude(...hello);
    a.config.models = { alias: 'claude-x' };
    const { post } = await serve(a);
    const request = {
      model: 'alias',
      max_tokens: 50,
      system: [{ type: 'text', text: 's', cache_control: { type: 'ephemeral' } }],
      messages: [
        { role: 'user', content: 'a' },
        { role: 'assistant', content: [{ type: 'thinking', thinking: 'x', signature: 's' }] },
        { role: 'user', content: 'b' },
      ],
      thinking: { type: 'enabled', budget_tokens: 2000 },
      metadata: { user_id: 'u' },
    };
    const { status, headers, body } = await post('/v1/messages', request);
    expect([status, headers.get('x-sluice-upstream')]).toEqual([200, 'claude']);
    expect(body).toMatchObject({
      content: [{ type: 'text', text: 'hi' }],
      stop_reason: 'end_turn',
      usage: { input_tokens: 25, output_tokens: 15 },
    });
    expect(a.mock.exchanges[0].body).toEqual({ ...request, model: 'claude-x', stream: true });
  });

  test('blocks and counts of the answer come back as they are, whole and as a stream', async () => {
    const signed = anthropic.block(
      1,
      { type: 'thinking', thinking: '', signature: '' },
      { type: 'signature_delta', signature: 'kept back' },
    );
    const redacted = anthropic.block(2, { type: 'redacted_thinking', data: 'R' });
    const found = { type: 'web_search_tool_result', tool_use_id: 's', content: [{ type: 'x' }] };
    const usage = {
      input_tokens: 25,
      cache_creation_input_tokens: 7,
      cache_read_input_tokens: 3,
      output_tokens: 1,
    };
    const a = await claude(
      anthropic.start({ usage }),
      ...anthropic.thinking(0, 'sig', 'Hm'),
      ...signed,
      ...redacted,
      ...anthropic.block(3, found),
      ...anthropic.text(4, 'hi'),
      ...anthropic.stop(),
    );
    const { url } = await serve(a);
    const client = new Anthropic({ baseURL: url, apiKey: 'k', maxRetries: 0 });
    const request = {
      model: 'm',
      max_tokens: 5,
      messages: [{ role: 'user', content: [{ type: 'search_result', source: 's', title: 't' }] }],
      tools: [{ type: 'web_search_20250305', name: 'web_search' }],
    };
    const content = [
      { type: 'thinking', thinking: 'Hm', signature: 'sig' },
      { type: 'thinking', thinking: '', signature: 'kept back' },
      { type: 'redacted_thinking', data: 'R' },
      found,
      { type: 'text', text: 'hi' },
    ];
    const whole = await client.beta.messages.create({ ...request, betas: ['some-beta'] });
    expect(whole).toMatchObject({ content, usage: { ...usage, output_tokens: 15 } });
    expect(a.mock.exchanges[0].body).toEqual({ ...request, stream: true });
    expect(a.mock.exchanges[0].headers['anthropic-beta']).toBe('some-beta');
    const streamed = await client.messages.stream(request).finalMessage();
    expect(streamed).toMatchObject({ content, usage: { ...usage, output_tokens: 15 } });
  });
});
