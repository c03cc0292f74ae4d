/**
 * Mock upstreams with an OpenAI provider that calls them, and readers of its results.
 * `afterEach(stopProviders)` ends both.
 */
import { startMockUpstream } from '../upstream/mock-upstream.js';
import { relayedProvider } from './relayed-provider.js';

/** The clients for calls: each must pass the same tests. */
export const clients = /** @type {const} */ (['undici', 'native']);

/** @type {(() => Promise<unknown>)[]} */
export const cleanups = [];

/** Ends the upstreams and providers of a test. */
export async function stopProviders() {
  while (cleanups.length > 0) await cleanups.pop()?.();
}

/** Creates providers by one of the `clients`, which are closed after the test. */
export function by(client) {
  function provide(options) {
    const provider = relayedProvider({ ...options, client });
    cleanups.push(() => provider.dispose());
    cleanups.push(() => provider.close());
    return provider;
  }
  /** A mock upstream and a provider that calls it. */
  async function setUp(respond, options = {}) {
    const upstream = await startMockUpstream(respond);
    cleanups.push(() => upstream.close());
    return { upstream, provider: provide({ baseUrl: upstream.url, ...options }) };
  }
  return { provide, setUp };
}

let nextId = 0;
export const request = (fields = {}) => ({
  id: `job_${(nextId += 1)}`,
  prompt: 'hi',
  model: 'm',
  ...fields,
});

/** The outcome of a request: its pieces, and its end or error. */
export async function collect(iterator) {
  const texts = [];
  try {
    for (;;) {
      const { done, value } = await iterator.next();
      if (done) return { texts, text: texts.join(''), end: value };
      texts.push(value);
    }
  } catch (error) {
    return { texts, text: texts.join(''), error };
  }
}

/** The outcome of each request of a batch. */
export async function collectBatch(iterator, size) {
  const answers = Array.from({ length: size }, () => ({ text: '', endings: 0 }));
  for await (const { index, ...item } of iterator) {
    if ('text' in item) answers[index].text += item.text;
    else Object.assign(answers[index], item, { endings: answers[index].endings + 1 });
  }
  return answers;
}
