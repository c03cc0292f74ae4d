/** The resumable streams of llama-server: chat completions with `X-Conversation-Id`, resumed at a byte offset. */
import { randomUUID } from 'node:crypto';
import { chat, decodeChat } from './chat.js';

/** @param {string} base @param {import('../types.js').Job} job */
const pathOf = (base, { id }) => `${base}/v1/stream?conv_id=${encodeURIComponent(id)}`;

/** @type {import('../types.js').Adapter} */
export const llamaCpp = {
  name: 'llama.cpp',
  title: 'llama-server with resumable streams',
  defaultPath: '',
  features: ['submit', 'resume', 'cursor', 'replay', 'fan-out', 'cancel', 'errors', 'runs-on'],
  badCursor: 'either',
  submit(base, submission) {
    const id = `conformance-${randomUUID()}`;
    const parts = chat.submit(base, submission);
    return { ...parts, headers: { ...parts.headers, 'x-conversation-id': id }, job: id };
  },
  accepted: ({ job }) => (job === undefined ? undefined : { id: job }),
  read: (base, job, cursor = '0') => ({
    path: `${pathOf(base, job)}&from=${encodeURIComponent(cursor)}`,
  }),
  // The cursor is a byte offset in the stream.
  decoder: (_job, cursor = '0') => {
    const start = Number(cursor) || 0;
    return (block) =>
      decodeChat(block).map((item) => ({ ...item, cursor: String(start + block.end) }));
  },
  cancel: (base, job) => ({ method: 'DELETE', path: pathOf(base, job) }),
};
