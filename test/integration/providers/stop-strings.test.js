/** `stop` of an upstream that ignores it: the text ends before it, and the call is closed. */
import { once } from 'node:events';
import { until } from '../../support/until.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { startBefore } from '../../support/gateway/upstream.js';

/** A turn that is cancelled while "EN" may become the stop string. */
async function expectCancelled({ submit, ended, stream, cancel, get, post }) {
  const { conversation_id: id } = (await post('/v1/conversations', {})).body;
  const { body } = await submit({ prompt: 'hi', stop: 'END', conversation_id: id });
  const reader = await stream(body.stream_url);
  await until(() => reader.text === 'one two ', 'the text');
  await cancel(body.job_id);
  const { text } = await ended(body.job_id);
  await reader.done;
  expect([text, reader.text]).toEqual(['one two ', 'one two ']);
  const { messages } = (await get(`/v1/conversations/${id}`)).body;
  expect(messages[1]).toMatchObject({ content: 'one two ', finish_reason: 'cancelled' });
}

test('a cancelled answer of a generator has the text of its readers', async () => {
  const provider = async function* hold(request, { signal }) {
    yield* ['one ', 'two ', 'E', 'N'];
    await once(signal, 'abort');
  };
  await expectCancelled(await start({ provider }));
  await stopAll();
});

describe.each(/** @type {const} */ (['undici', 'native']))('by %s', (client) => {
  let upstream;
  afterEach(stopAll);

  async function relay(respond, { mode = 'chat', ...options } = {}) {
    const provider = { model: 'm', mode, client };
    const served = await startBefore(respond, { provider, retry: { attempts: 1 }, ...options });
    upstream = served.upstream;
    return served;
  }

  /** Continues until the client disconnects. */
  const endless = (texts) => async (exchange) => {
    exchange.open();
    for (const text of texts) await exchange.delta(text);
    for (;;) {
      const left = await Promise.race([
        exchange.delta('x').then(() => new Promise((resolve) => setTimeout(resolve, 5))),
        exchange.closed.then(() => true),
      ]);
      if (left) return;
    }
  };

  test('the text ends before the first stop string, also across pieces', async () => {
    const { submit, ended, read } = await relay(
      endless(['one E', 'Nx two ', '\u{1f600}E', 'N', 'D']),
    );
    const { body } = await submit({ prompt: 'hi', stop: ['END', '###'] });
    expect(await ended(body.job_id)).toMatchObject({
      status: 'completed',
      reason: 'stop',
      text: 'one ENx two \u{1f600}',
      usage: { estimated: true },
    });
    await upstream.exchanges[0].closed;
    const { text, events } = await read(body.stream_url);
    expect(text).toBe('one ENx two \u{1f600}');
    expect(events.at(-1)).toMatchObject({ type: 'job_complete', data: { reason: 'stop' } });
  });

  test('a cancelled answer has the text of its readers, without the beginning of a stop string', async () => {
    const respond = async (exchange) => {
      exchange.open();
      for (const text of ['one ', 'two ', 'E', 'N']) await exchange.delta(text);
      await exchange.closed;
    };
    await expectCancelled(await relay(respond));
  });

  test('each prompt of a shared call stops by itself', async () => {
    const respond = async (exchange) => {
      exchange.open();
      await exchange.delta('a.', 0);
      await exchange.delta('b', 1);
      await exchange.delta('more', 0);
      await exchange.delta('c', 1);
      await exchange.finish('stop', 1);
      await exchange.finish('length', 0);
      exchange.end();
    };
    const { submit, ended } = await relay(respond, {
      mode: 'completions',
      batching: { maxBatchSize: 2, idleFlushMs: 5000 },
    });
    const jobs = [];
    for (const prompt of ['p', 'q']) {
      jobs.push((await submit({ prompt, stop: '.' })).body.job_id);
    }
    const states = await Promise.all(jobs.map(ended));
    expect(states.map(({ text, reason }) => [text, reason])).toEqual([
      ['a', 'stop'],
      ['bc', 'stop'],
    ]);
    expect(upstream.exchanges).toHaveLength(1);
  });

  test('without stop, and with include_stop_str_in_output, the text is unchanged', async () => {
    const respond = async (exchange) => {
      exchange.open();
      await exchange.delta('a END');
      await exchange.finish('stop');
      exchange.end();
    };
    const { submit, ended } = await relay(respond);
    const extra_body = { include_stop_str_in_output: true };
    for (const fields of [{}, { stop: 'END', extra_body }]) {
      const { body } = await submit({ prompt: 'hi', ...fields });
      expect((await ended(body.job_id)).text).toBe('a END');
    }
  });
});
