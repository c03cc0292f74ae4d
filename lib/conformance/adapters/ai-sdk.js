/**
 * The AI SDK's UI message stream, as `useChat` with `resume` and `DefaultChatTransport` uses it: the URL is the chat
 * endpoint, `GET URL/ID/stream` sends the running answer from its start, `POST URL/ID/stop` ends it.
 */
import { randomUUID } from 'node:crypto';
import { parseJson, postJson } from './request.js';

/** @typedef {import('../types.js').Item} Item */

/**
 * `[DONE]` ends a stream; the parts before it say how.
 * @returns {(block: import('../wire/blocks.js').Block) => Item[]}
 */
function decoder() {
  /** @type {Item['outcome']} */
  let outcome = 'complete';
  return ({ data }) => {
    if (data === undefined) return [];
    if (data === '[DONE]') return [{ kind: 'terminal', outcome, raw: data }];
    const { type, delta } = parseJson(data) ?? {};
    if (type === 'text-delta') return [{ kind: 'text', text: delta, raw: data }];
    if (type === 'error') outcome = 'error';
    if (type === 'abort') outcome = 'cancelled';
    return [{ kind: 'other', raw: data }];
  };
}

/** @type {import('../types.js').Adapter} */
export const aiSdk = {
  name: 'ai-sdk',
  title: 'AI SDK UI message stream, with resume',
  defaultPath: '/api/chat',
  features: ['submit', 'resume', 'fan-out', 'cancel', 'errors', 'runs-on'],
  unknownStatus: 204,
  submit(base, { prompt, model }) {
    const id = `conformance-${randomUUID()}`;
    const message = { id: randomUUID(), role: 'user', parts: [{ type: 'text', text: prompt }] };
    return {
      ...postJson(base, {
        ...(model !== undefined && { model }),
        ...{ id, messages: [message], trigger: 'submit-message' },
      }),
      job: id,
    };
  },
  accepted: ({ job }) => (job === undefined ? undefined : { id: job }),
  read: (base, { id }) => ({ path: `${base}/${encodeURIComponent(id)}/stream` }),
  decoder,
  cancel: (base, { id }) => postJson(`${base}/${encodeURIComponent(id)}/stop`, {}),
};
