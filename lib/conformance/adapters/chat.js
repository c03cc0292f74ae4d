/** OpenAI's chat completions and Anthropic's messages: a stream for each request, which cannot be resumed. */
import { parseJson, postJson } from './request.js';

/** @typedef {import('../types.js').Item} Item */
/** @typedef {import('../types.js').Feature} Feature */

/** @type {readonly Feature[]} */
const FEATURES = ['submit', 'errors'];

/** @returns {never} */
function noResume() {
  throw new Error('the dialect has no resume');
}

/** @type {import('../types.js').Adapter} */
export const chat = {
  name: 'chat',
  title: 'OpenAI chat completions',
  defaultPath: '',
  features: FEATURES,
  submit: (base, { prompt, model }) =>
    postJson(`${base}/v1/chat/completions`, {
      ...(model !== undefined && { model }),
      messages: [{ role: 'user', content: prompt }],
      stream: true,
    }),
  accepted: () => undefined,
  read: noResume,
  decoder: () => decodeChat,
};

/**
 * Blocks of chat completions; llama.cpp has the same.
 * @param {import('../wire/blocks.js').Block} block
 * @returns {Item[]}
 */
export function decodeChat({ data }) {
  if (data === undefined) return [];
  if (data === '[DONE]') return [{ kind: 'terminal', outcome: 'complete', raw: data }];
  const { error, choices } = parseJson(data) ?? {};
  if (error !== undefined) return [{ kind: 'terminal', outcome: 'error', raw: data }];
  const text = choices?.[0]?.delta?.content;
  return [text ? { kind: 'text', text, raw: data } : { kind: 'other', raw: data }];
}

/** @type {import('../types.js').Adapter} */
export const messages = {
  name: 'messages',
  title: 'Anthropic messages',
  defaultPath: '',
  features: FEATURES,
  submit: (base, { prompt, model }) =>
    postJson(
      `${base}/v1/messages`,
      {
        ...(model !== undefined && { model }),
        messages: [{ role: 'user', content: prompt }],
        max_tokens: 4096,
        stream: true,
      },
      { 'anthropic-version': '2023-06-01' },
    ),
  accepted: () => undefined,
  read: noResume,
  decoder: () => decodeMessages,
};

/** @param {import('../wire/blocks.js').Block} block @returns {Item[]} */
function decodeMessages({ data }) {
  if (data === undefined) return [];
  const { type, delta } = parseJson(data) ?? {};
  if (type === 'message_stop') return [{ kind: 'terminal', outcome: 'complete', raw: data }];
  if (type === 'error') return [{ kind: 'terminal', outcome: 'error', raw: data }];
  if (type === 'content_block_delta' && delta?.type === 'text_delta') {
    return [{ kind: 'text', text: delta.text, raw: data }];
  }
  return [{ kind: 'other', raw: data }];
}
