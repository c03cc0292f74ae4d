/** OpenAI's Responses in the background: resumed by `starting_after`, the number of the last event. */
import { ACCEPT_STREAM, parseJson, postJson } from './request.js';

/** @typedef {import('../types.js').Item} Item */

const OUTCOMES = /** @type {Record<string, Item['outcome']>} */ ({
  completed: 'complete',
  incomplete: 'complete',
  failed: 'error',
  cancelled: 'cancelled',
});

/** @param {import('../wire/blocks.js').Block} block @returns {Item[]} */
function decode({ data }) {
  if (data === undefined) return [];
  const value = parseJson(data) ?? {};
  const { type, sequence_number: number, response } = value;
  // A keep-alive repeats the number of the last event.
  const cursor = type === 'keepalive' || number === undefined ? undefined : String(number);
  const common = { cursor, job: response?.id, raw: data };
  if (type === 'response.output_text.delta') {
    return [{ kind: 'text', text: value.delta, ...common }];
  }
  if (type === 'error') return [{ kind: 'terminal', outcome: 'error', ...common }];
  const [, ending] = /^response\.(completed|incomplete|failed|cancelled)$/.exec(type) ?? [];
  if (ending === undefined) return [{ kind: 'other', ...common }];
  return [{ kind: 'terminal', outcome: OUTCOMES[response?.status] ?? OUTCOMES[ending], ...common }];
}

/** @param {string} base @param {import('../types.js').Job} job */
const pathOf = (base, { id }) => `${base}/v1/responses/${encodeURIComponent(id)}`;

/** @type {import('../types.js').Adapter} */
export const responses = {
  name: 'responses',
  title: 'OpenAI Responses in the background, with starting_after',
  defaultPath: '',
  features: [
    'submit',
    'resume',
    'cursor',
    'replay',
    'fan-out',
    'cancel',
    'cancel-keeps',
    'state',
    'errors',
    'cancelled-event',
    'runs-on',
  ],
  badCursor: 'either',
  submit: (base, { prompt, model }) =>
    postJson(`${base}/v1/responses`, {
      ...(model !== undefined && { model }),
      ...{ input: prompt, background: true, stream: true, store: true },
    }),
  accepted({ items }) {
    const id = items.find(({ job }) => job !== undefined)?.job;
    return id === undefined ? undefined : { id };
  },
  read(base, job, cursor) {
    const after = cursor === undefined ? '' : `&starting_after=${encodeURIComponent(cursor)}`;
    return { path: `${pathOf(base, job)}?stream=true${after}`, headers: { ...ACCEPT_STREAM } };
  },
  decoder: () => decode,
  cancel: (base, job) => ({ method: 'POST', path: `${pathOf(base, job)}/cancel` }),
  state: (base, job) => ({ path: pathOf(base, job) }),
  readState: ({ status }) => ({ outcome: OUTCOMES[status] }),
};
