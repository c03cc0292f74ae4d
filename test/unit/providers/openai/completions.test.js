import { setTimeout as sleep } from 'node:timers/promises';
import { streamTokens } from '../../../support/upstream/mock-upstream.js';
import {
  collectBatch,
  request,
  by,
  clients,
  stopProviders,
} from '../../../support/providers/openai-provider.js';

afterEach(stopProviders);

describe.each(clients)('by %s', (client) => {
  const { setUp } = by(client);

  describe('completions', () => {
    const completions = { mode: /** @type {const} */ ('completions') };

    test('one call for a batch, its choices split back', async () => {
      const { upstream, provider } = await setUp(async (exchange) => {
        exchange.open();
        for (let turn = 0; turn < 3; turn += 1) {
          for (const index of [2, 0, 1]) await exchange.delta(`${index}${'abc'[turn]} `, index);
        }
        await exchange.finish('length', 1);
        await exchange.delta('more', 0);
        await exchange.finish('stop', 0);
        await exchange.finish('stop', 2);
        await exchange.usage(9, 9);
        await exchange.done();
        exchange.end();
      }, completions);
      const requests = ['A', 'B', 'C'].map((prompt) => request({ prompt, maxTokens: 50 }));
      expect(await collectBatch(provider.generateBatch(requests), 3)).toEqual([
        { text: '0a 0b 0c more', endings: 1, end: { reason: 'stop' } },
        { text: '1a 1b 1c ', endings: 1, end: { reason: 'length' } },
        { text: '2a 2b 2c ', endings: 1, end: { reason: 'stop' } },
      ]);
      expect(upstream.exchanges).toHaveLength(1);
      expect(upstream.exchanges[0]).toMatchObject({
        path: '/v1/completions',
        body: { prompt: ['A', 'B', 'C'], model: 'm', max_tokens: 50, stream: true },
      });
      expect(provider.takesBatches).toBe(true);
    });

    test('one prompt has its counts; messages become a prompt', async () => {
      const { upstream, provider } = await setUp(streamTokens({ tokens: ['a', 'b'] }), completions);
      const messages = [
        { role: 'system', content: 'be brief' },
        { role: 'user', content: 'hi' },
      ];
      const requests = [request({ prompt: undefined, messages })];
      expect(await collectBatch(provider.generateBatch(requests), 1)).toEqual([
        {
          text: 'ab',
          endings: 1,
          end: {
            reason: 'stop',
            usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 },
          },
        },
      ]);
      expect(upstream.exchanges[0].body.prompt).toEqual([
        'system: be brief\n\nuser: hi\n\nassistant:',
      ]);
    });

    test('requests that cannot share a call are grouped', async () => {
      const { upstream, provider } = await setUp(streamTokens({ tokens: ['x', 'y'] }), completions);
      const requests = [
        request({ prompt: 'a', model: 'm1' }),
        request({ prompt: 'b', model: 'm2' }),
        request({ prompt: 'c', model: 'm1' }),
        request({ prompt: 'd', model: 'm1', temperature: 0 }),
        request({ prompt: 'e', model: 'm1', stop: ['.'] }),
        request({ prompt: 'f', model: 'm1', temperature: 0 }),
      ];
      const answers = await collectBatch(provider.generateBatch(requests), 6);
      expect(answers.map(({ text, endings }) => [text, endings])).toEqual(Array(6).fill(['xy', 1]));
      expect(upstream.exchanges.map(({ body }) => body.prompt.join('')).sort()).toEqual([
        'ac',
        'b',
        'df',
        'e',
      ]);
    });

    test('a failure affects only its own call, and only requests that have not ended', async () => {
      const { provider } = await setUp(async (exchange) => {
        if (exchange.body.model === 'fine') return streamTokens({ tokens: ['x'] })(exchange);
        exchange.open();
        await exchange.delta('whole', 0);
        await exchange.finish('stop', 0);
        await exchange.delta('part', 1);
        await sleep(20);
        exchange.cut();
      }, completions);
      const requests = ['m', 'm', 'm', 'fine'].map((model) => request({ model }));
      const answers = await collectBatch(provider.generateBatch(requests), 4);
      expect(answers).toMatchObject([
        { text: 'whole', end: { reason: 'stop' }, endings: 1 },
        {
          text: 'part',
          error: { wireCode: 'upstream_disconnected', retryable: false },
          endings: 1,
        },
        { text: '', error: { wireCode: 'upstream_disconnected', retryable: true }, endings: 1 },
        { text: 'x', end: { reason: 'stop' }, endings: 1 },
      ]);
    });

    test('an unknown index is an invalid response', async () => {
      const { provider } = await setUp(async (exchange) => {
        exchange.open();
        await exchange.delta('x', 2);
      }, completions);
      const [first, second] = await collectBatch(provider.generateBatch([request(), request()]), 2);
      expect(first.error).toMatchObject({ wireCode: 'upstream_invalid_response' });
      expect(second.error).toMatchObject({ wireCode: 'upstream_invalid_response' });
    });

    test('one abort silences one request, the last one closes the call', async () => {
      const { upstream, provider } = await setUp(async (exchange) => {
        exchange.open();
        while (exchange.closedAtMs === undefined) {
          await exchange.delta('x', 0);
          await exchange.delta('y', 1);
          await sleep(2);
        }
      }, completions);
      const aborts = [new AbortController(), new AbortController()];
      const counts = [0, 0];
      let countAtAbort = 0;
      for await (const item of provider.generateBatch(
        aborts.map(({ signal }) => request({ signal })),
      )) {
        expect(Object.keys(item).sort()).toEqual(['index', 'text']);
        counts[item.index] += 1;
        if (counts[0] === 5 && !aborts[0].signal.aborted) {
          aborts[0].abort();
          countAtAbort = counts[1];
        }
        if (counts[1] === countAtAbort + 20 && aborts[0].signal.aborted) aborts[1].abort();
      }
      expect(counts[0]).toBe(5);
      await upstream.exchanges[0].closed;
    });

    test('the signal of the batch rejects and closes every call', async () => {
      const { upstream, provider } = await setUp((exchange) => void exchange.open(), completions);
      const abort = new AbortController();
      const requests = [request({ model: 'm1' }), request({ model: 'm2' })];
      const result = collectBatch(provider.generateBatch(requests, { signal: abort.signal }), 2);
      const exchanges = [await upstream.exchange(0), await upstream.exchange(1)];
      abort.abort(new Error('enough'));
      await expect(result).rejects.toThrow('enough');
      await Promise.all(exchanges.map(({ closed }) => closed));
    });

    test('return() while a next() is pending closes every call', async () => {
      const { upstream, provider } = await setUp((exchange) => void exchange.open(), completions);
      const iterator = provider.generateBatch([request({ model: 'm1' }), request({ model: 'm2' })]);
      const pending = iterator.next();
      const exchanges = [await upstream.exchange(0), await upstream.exchange(1)];
      await iterator.return();
      expect(await pending).toEqual({ done: true, value: undefined });
      await Promise.all(exchanges.map(({ closed }) => closed));
    });
  });
});
