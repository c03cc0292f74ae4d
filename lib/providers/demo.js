/**
 * The demo provider: every request is answered with the same canned text, about one word every
 * interval. No model, no network. It takes batches, to show the batcher at work.
 */
import { setImmediate, setTimeout } from 'node:timers/promises';
import { DEMO_OPTIONS } from './option-table.js';
import { checkString } from '../internal/util/validate.js';
import { checkTable } from '../internal/util/option-table.js';
import { mergeRuns } from './llama/merge-runs.js';
import { StopFilter } from './shared/stop-filter.js';
import { textOf } from './shared/messages.js';

const CANNED_TEXT =
  'A sluice is a gate that lets water through at the rate the channel below can carry. ' +
  'This text goes the same way: each word is a token of a job, numbered and kept in its log, ' +
  'and streamed to everyone who watches. Close the page, lose the connection, come back later: ' +
  'the stream goes on where you left it, with nothing lost and nothing twice. ' +
  'If you read slowly, the writer waits for you. If you cancel, it stops at once.';

/**
 * Splits a text into words, each with its preceding white space; joined they give the text.
 * @param {string} text
 * @returns {string[]}
 */
function wordsOf(text) {
  return text.match(/\s*\S+(?:\s+$)?/g) ?? (text === '' ? [] : [text]);
}

/** @param {import('./shared/types.js').ProviderRequest} request */
function promptWords({ prompt, messages }) {
  const texts = prompt === undefined ? (messages ?? []).map(textOf) : [prompt];
  return texts.reduce((sum, text) => sum + (text.match(/\S+/g)?.length ?? 0), 0);
}

/**
 * A provider without dependencies. Tokens are words; `max_tokens` and `stop` are respected.
 * @param {import('./option-table.js').DemoOptions} [options]
 * @returns {import('./shared/types.js').Provider}
 */
export function demo(options) {
  const given = checkTable('providers.demo', DEMO_OPTIONS, options);
  const { tokenIntervalMs } = given;
  const words = wordsOf(checkString('text', given.text ?? CANNED_TEXT));
  const closing = new AbortController();

  /** @param {import('./shared/types.js').ProviderRequest} request @param {AbortSignal} signal */
  async function* answer(request, signal) {
    const wanted = words.slice(0, request.maxTokens ?? words.length);
    const filter = new StopFilter(request.stop);
    let dueMs = performance.now();
    let used = 0;
    for (const word of wanted) {
      // Scheduled by the clock instead of the last word, so that the rate holds. A slow consumer
      // does not get the missed words in a burst.
      dueMs = Math.max(dueMs + tokenIntervalMs, performance.now());
      if (tokenIntervalMs === 0) await setImmediate(undefined, { signal });
      else await setTimeout(dueMs - performance.now(), undefined, { signal });
      used += 1;
      const text = filter.push(word);
      if (text !== '') yield text;
      if (filter.stopped) break;
    }
    const rest = filter.flush();
    if (rest !== '') yield rest;
    /** @type {'stop' | 'length'} */
    const reason = !filter.stopped && wanted.length < words.length ? 'length' : 'stop';
    const usage = { prompt_tokens: promptWords(request), completion_tokens: used };
    return { reason, usage };
  }

  return {
    name: 'demo',
    models: [{ id: 'demo' }],
    takesBatches: true,
    enforcesMaxTokens: true,
    features: [],
    generateBatch(requests, { signal }) {
      return mergeRuns(requests, [signal, closing.signal], answer);
    },
    async close() {
      closing.abort();
    },
  };
}
