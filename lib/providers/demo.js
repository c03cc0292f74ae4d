/**
 * The demo provider: it answers with a fixed text, about one word every interval; a prompt about
 * the weather gets a tool call, one about Markdown a table and code, and one that requests a refusal
 * gets it. No model, no network. It
 * accepts batches, to demonstrate the batcher.
 */
import { setImmediate, setTimeout } from 'node:timers/promises';
import { DEMO_OPTIONS } from './option-table.js';
import { checkString } from '../internal/util/validate.js';
import { checkTable } from '../internal/util/option-table.js';
import { mergeRuns } from './llama/merge-runs.js';
import { StopFilter } from './shared/stop-filter.js';
import { textOf } from './shared/messages.js';

/** @typedef {Exclude<import('./shared/types.js').AnswerPiece, {text: string}>} Piece */
/** @typedef {{pieces: Piece[], reason: 'stop' | 'tool_calls'}} Script */

/** @type {import('./shared/messages.js').ChatMessage} */
const NO_MESSAGE = { role: 'user', content: '' };
const CANNED_TEXT =
  'A sluice is a gate that lets water through at the rate the channel below can carry. ' +
  'This text goes the same way: each word is a token of a job, numbered and kept in its log, ' +
  'and streamed to everyone who watches. Close the page, lose the connection, come back later: ' +
  'the stream goes on where you left it, with nothing lost and nothing twice. ' +
  'If you read slowly, the writer waits for you. If you cancel, it stops at once.';

const MARKDOWN_TEXT = `A sluice in **three gates**:

| gate | queue | takes |
| --- | --- | ---: |
| admission | incoming | 100 requests |
| batcher | processing | 10 batches |
| slots | provider | 5 calls |

The page opens it with a few lines:

\`\`\`js
const job = await client.submit({ prompt: 'Hello' });
job.on('token', (text) => {
  answer.append(text);
});
await job.done;
\`\`\`

1. Send a prompt.
2. Reload *in the middle*.
3. Watch the rest arrive.`;

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

/** @param {string} city @returns {Script} reasoning, a text, and the call of a tool */
function weatherScript(city) {
  const reasoning =
    `The question is about the weather in ${city}. A canned text has no weather of today, ` +
    'so a tool must be asked. The tool get_weather takes the name of a city.';
  const call = { id: 'call_demo_weather', name: 'get_weather' };
  const json = JSON.stringify({ city, unit: 'celsius' });
  return {
    pieces: [
      ...wordsOf(reasoning).map((word) => ({ reasoning: word })),
      ...wordsOf(`I am looking up the weather in ${city}.`),
      { tool_call: { index: 0, ...call, arguments: '' } },
      ...(json.match(/[^:,]+[:,]?/g) ?? []).map((piece) => ({
        tool_call: { index: 0, arguments: piece },
      })),
    ],
    reason: 'tool_calls',
  };
}

/** @returns {Script} */
function refusalScript() {
  const refusal = 'I was asked to refuse, so I will not answer this prompt.';
  return { pieces: wordsOf(refusal).map((word) => ({ refusal: word })), reason: 'stop' };
}

/**
 * @param {import('./shared/types.js').ProviderRequest} request
 * @returns {Script} of a provider without the option `text`
 */
function scriptOf({ prompt, messages }) {
  const asked = prompt ?? textOf(messages?.findLast(({ role }) => role === 'user') ?? NO_MESSAGE);
  if (/\brefuse\b/i.test(asked)) return refusalScript();
  if (/\bmarkdown\b/i.test(asked)) return { pieces: wordsOf(MARKDOWN_TEXT), reason: 'stop' };
  if (!/\bweather\b/i.test(asked)) return { pieces: wordsOf(CANNED_TEXT), reason: 'stop' };
  const [, city = 'Venice'] = /\bin (\p{Lu}[\p{L}'’-]*(?: \p{Lu}[\p{L}'’-]*)*)/u.exec(asked) ?? [];
  return weatherScript(city);
}

/**
 * A provider without dependencies. Tokens are words; `max_tokens` and `stop` are respected.
 * @param {import('./option-table.js').DemoOptions} [options]
 * @returns {import('./shared/types.js').Provider}
 */
export function demo(options) {
  const given = checkTable('providers.demo', DEMO_OPTIONS, options);
  const { tokenIntervalMs } = given;
  /** @type {Script | undefined} */
  const fixed =
    given.text === undefined
      ? undefined
      : { pieces: wordsOf(checkString('text', given.text)), reason: 'stop' };
  const closing = new AbortController();

  /** @param {import('./shared/types.js').ProviderRequest} request @param {AbortSignal} signal */
  async function* answer(request, signal) {
    const { pieces, reason: whole } = fixed ?? scriptOf(request);
    const wanted = pieces.slice(0, request.maxTokens ?? pieces.length);
    const filter = new StopFilter(request.stop);
    let dueMs = performance.now();
    let used = 0;
    for (const piece of wanted) {
      // Scheduled by the clock instead of the last word, so that the rate holds. A slow consumer
      // does not get the missed words in a burst.
      dueMs = Math.max(dueMs + tokenIntervalMs, performance.now());
      if (tokenIntervalMs === 0) await setImmediate(undefined, { signal });
      else await setTimeout(dueMs - performance.now(), undefined, { signal });
      used += 1;
      if (typeof piece !== 'string') {
        const held = filter.flush();
        if (held !== '') yield held;
        yield piece;
        continue;
      }
      const text = filter.push(piece);
      if (text !== '') yield text;
      if (filter.stopped) break;
    }
    const rest = filter.flush();
    if (rest !== '') yield rest;
    /** @type {Script['reason'] | 'length'} */
    const cut = wanted.length < pieces.length ? 'length' : whole;
    /** @type {typeof cut} */
    const reason = filter.stopped ? 'stop' : cut;
    const usage = { prompt_tokens: promptWords(request), completion_tokens: used };
    const { stopSequence } = filter;
    return { reason, ...(stopSequence !== undefined && { stopSequence }), usage };
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
