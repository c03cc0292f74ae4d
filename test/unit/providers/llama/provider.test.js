import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { llama } from '../../../../lib/providers/llama/provider.js';
import { collect, request } from '../../../support/providers/batch.js';
import { tinyLlama } from '../../../support/providers/tiny-llama.js';

const never = new AbortController().signal;
const modelPath = tinyLlama();
const providerModule = new URL('../../../../lib/providers/llama/provider.js', import.meta.url).href;

/** @type {ReturnType<typeof llama>} */
let provider;
beforeAll(async () => {
  provider = llama({ modelPath, sequences: 4, contextSize: 256, threads: 1 });
  await provider.ready();
});
afterAll(() => provider.close());

const batch = (...requests) => provider.generateBatch(requests, { signal: never });

/** The engine's own answer, straight from node-llama-cpp, to compare with. */
async function reference(prompt, count) {
  const { getLlama, LlamaLogLevel } = await import('node-llama-cpp');
  const engine = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error });
  const model = await engine.loadModel({ modelPath });
  const context = await model.createContext({ contextSize: 256, threads: 1 });
  const tokens = [model.tokens.bos, ...model.tokenize(prompt)];
  const generated = [];
  for await (const token of context.getSequence().evaluate(tokens, { temperature: 0 })) {
    generated.push(token);
    if (generated.length === count) break;
  }
  const text = model.detokenize(generated, false, tokens);
  await engine.dispose();
  return { text, promptTokens: tokens.length };
}

test('is named after its file, and takes batches', () => {
  expect(provider).toMatchObject({
    name: 'llama',
    models: [{ id: 'tiny-llama' }],
    takesBatches: true,
    enforcesMaxTokens: true,
  });
});

test('at temperature 0 returns the engine’s own text, with exact counts', async () => {
  const expected = await reference('the river', 12);
  const [result] = await collect(
    batch(request({ prompt: 'the river', maxTokens: 12, temperature: 0 })),
    1,
  );
  expect(result.text).toBe(expected.text);
  expect(result.end).toEqual({
    reason: 'length',
    usage: { prompt_tokens: expected.promptTokens, completion_tokens: 12 },
  });
});

test('a seed repeats a text, and top_k 1 takes the most likely token', async () => {
  const ask = async (body, temperature = 1.5) => {
    const fields = { prompt: 'the river', maxTokens: 12, temperature, body };
    return (await collect(batch(request(fields)), 1))[0].text;
  };
  const texts = [];
  for (const seed of [1, 2, 3, 1]) texts.push(await ask({ seed, top_k: 1000, min_p: 0, top_p: 1 }));
  expect(texts[3]).toBe(texts[0]);
  expect(new Set(texts).size).toBeGreaterThan(1);
  expect(await ask({ top_k: 1 })).toBe(await ask({}, 0));
});

test('a batch larger than its sequences is answered whole, and interleaved', async () => {
  const requests = Array.from({ length: 10 }, (_, n) =>
    request({ prompt: `water ${n}`, maxTokens: 8, temperature: 0 }),
  );
  const order = [];
  const ends = [];
  for await (const event of batch(...requests)) {
    if (event.text !== undefined) order.push(event.index);
    else ends.push([event.index, event.end.reason, event.end.usage.completion_tokens]);
  }
  expect(ends.sort(([a], [b]) => a - b)).toEqual(requests.map((_, n) => [n, 'length', 8]));
  // The second request's first text precedes the first one's last: they run concurrently.
  expect(order.indexOf(1)).toBeLessThan(order.lastIndexOf(0));
});

test('the same prompt has the same text alone and in a batch', async () => {
  const one = request({ prompt: 'good day', maxTokens: 10, temperature: 0 });
  const [alone] = await collect(batch(one), 1);
  const results = await collect(batch(one, one, request({ maxTokens: 10 }), one), 4);
  expect([results[0].text, results[1].text, results[3].text]).toEqual(Array(3).fill(alone.text));
});

test('messages go through the model’s own template', async () => {
  const messages = [
    { role: 'system', content: 'be kind' },
    { role: 'user', content: 'good day' },
    { role: 'assistant', content: 'hello' },
    { role: 'user', content: 'and you' },
  ];
  const fields = { prompt: undefined, messages, maxTokens: 6, temperature: 0 };
  const [result] = await collect(batch(request(fields)), 1);
  expect(result.error).toBeUndefined();
  expect(result.end.usage.completion_tokens).toBe(6);
  // The template writes each role before its content, so there are more words than in the contents.
  expect(result.end.usage.prompt_tokens).toBeGreaterThan(7);
});

test('ends before a stop string, which is not part of the text', async () => {
  const fields = { prompt: 'the river', maxTokens: 20, temperature: 0 };
  const [whole] = await collect(batch(request(fields)), 1);
  const words = whole.text.trim().split(' ');
  const stop = `${words[3]} ${words[4]}`;
  const [result] = await collect(batch(request({ ...fields, stop: [stop] })), 1);
  expect(result.text).toBe(whole.text.slice(0, whole.text.indexOf(stop)));
  expect(result.end.reason).toBe('stop');
});

test('an abort ends one text and frees its sequence for a waiting call', async () => {
  const controllers = Array.from({ length: 4 }, () => new AbortController());
  const endless = controllers.map((controller) => request({ prompt: 'a' }, controller));
  const events = batch(...endless);
  const first = await events.next();
  expect(first.done).toBe(false);
  const waiting = collect(batch(request({ maxTokens: 2 })), 1);
  controllers[0].abort();
  expect((await waiting)[0].end.usage.completion_tokens).toBe(2);
  for (const controller of controllers) controller.abort();
  expect(await events.next()).toEqual({ done: true, value: undefined });
});

test('return frees everything: as many texts again can run', async () => {
  const events = batch(...Array.from({ length: 4 }, () => request()));
  await events.next();
  await events.return();
  const again = Array.from({ length: 4 }, () => request({ maxTokens: 1 }));
  const results = await collect(batch(...again), 4);
  expect(results.every((result) => result.end.reason === 'length')).toBe(true);
});

test('stops at the end of the context, and refuses a prompt that does not fit', async () => {
  const long = 'the '.repeat(400);
  const results = await collect(
    batch(request({ prompt: 'the', temperature: 0 }), request({ prompt: long })),
    2,
  );
  const { usage, reason } = results[0].end;
  expect(reason).toBe('length');
  expect(usage.prompt_tokens + usage.completion_tokens).toBe(256);
  expect(results[1].error).toMatchObject({ wireCode: 'upstream_bad_request' });
  expect(results[1].error.message).toContain('256');
});

test('close ends running calls, and refuses later ones', async () => {
  const other = llama({ modelPath, sequences: 1, contextSize: 256, threads: 1 });
  const events = other.generateBatch([request()], { signal: never });
  await events.next();
  const pending = events.next();
  await other.close();
  expect(await pending).toEqual({ done: true, value: undefined });
  expect(await other.generateBatch([request()], { signal: never }).next()).toMatchObject({
    done: true,
  });
  await expect(other.ready()).rejects.toMatchObject({ code: 'ERR_PROVIDER_CLOSED' });
});

test('a file that is no model is named in the error, and may be tried again', async () => {
  const notModel = llama({ modelPath: new URL(import.meta.url).pathname });
  for (let attempt = 0; attempt < 2; attempt++) {
    await expect(notModel.ready()).rejects.toMatchObject({
      code: 'ERR_LLAMA_FAILED',
      message: expect.stringContaining('provider.test.js'),
    });
  }
  await notModel.close();
});

test.each([
  [{}, TypeError, 'modelPath'],
  [{ modelPath: '/nowhere.gguf' }, RangeError, 'modelPath'],
  [{ modelPath, sequences: 0 }, RangeError, 'sequences'],
  [{ modelPath, contextSize: 1 }, RangeError, 'contextSize'],
  [{ modelPath, gpu: 'yes' }, RangeError, 'gpu'],
])('refuses the options %j', (options, type, name) => {
  expect(() => llama(options)).toThrow(type);
  expect(() => llama(options)).toThrow(name);
});

test('without node-llama-cpp the error names the package to install', async () => {
  const absent = `export const resolve = (name, context, next) => {
    if (name !== 'node-llama-cpp') return next(name, context);
    throw Object.assign(new Error('absent'), { code: 'ERR_MODULE_NOT_FOUND' });
  };`;
  const script = `
    import { register } from 'node:module';
    register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(absent)}));
    const { llama } = await import(${JSON.stringify(providerModule)});
    const error = await llama(${JSON.stringify({ modelPath })}).ready().catch((error) => error);
    console.log(JSON.stringify({ code: error.code, message: error.message }));`;
  const args = ['--input-type=module', '-e', script];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  expect(JSON.parse(stdout)).toEqual({
    code: 'ERR_LLAMA_NOT_INSTALLED',
    message: expect.stringContaining('npm install node-llama-cpp'),
  });
});
