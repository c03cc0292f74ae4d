/** Sluice's own jobs: `POST /v1/jobs`, `GET /v1/stream`, `GET /v1/events`. */
import { ACCEPT_STREAM, idempotencyHeader, parseJson, postJson } from './request.js';

/** @typedef {import('../types.js').Item} Item */

const OUTCOMES = /** @type {const} */ ({
  job_complete: 'complete',
  job_error: 'error',
  job_cancelled: 'cancelled',
});

const STATES = /** @type {const} */ ({
  completed: 'complete',
  failed: 'error',
  cancelled: 'cancelled',
});

/** @param {import('../wire/blocks.js').Block} block @returns {Item[]} */
function decode({ event = 'message', id, data }) {
  if (data === undefined) return [];
  const value = parseJson(data) ?? {};
  const common = { cursor: id, job: value.job_id, raw: data };
  if (event === 'token') return [{ kind: 'text', text: value.token, ...common }];
  if (event === 'gap') return [{ kind: 'gap', ...common }];
  const outcome = /** @type {Record<string, Item['outcome']>} */ (OUTCOMES)[event];
  if (outcome !== undefined) return [{ kind: 'terminal', outcome, ...common }];
  return [{ kind: 'other', ...common }];
}

/** @type {readonly import('../types.js').Feature[]} */
const FEATURES = [
  'submit',
  'resume',
  'cursor',
  'replay',
  'fan-out',
  'stable',
  'query-cursor',
  'gap',
  'end-status',
  'cancel',
  'cancel-keeps',
  'idempotency',
  'fan-in',
  'state',
  'errors',
  'cancelled-event',
  'policy-continue',
  'policy-cancel',
  'runs-on',
];

/** @type {import('../types.js').Adapter} */
export const sluice = {
  name: 'sluice',
  title: 'Sluice',
  defaultPath: '',
  features: FEATURES,
  endStatus: 204,
  badCursor: 'replay',
  submit: (base, { prompt, model, key, policy, graceMs }) =>
    postJson(
      `${base}/v1/jobs`,
      {
        prompt,
        ...(model !== undefined && { model }),
        ...(policy !== undefined && { on_disconnect: policy }),
        ...(graceMs !== undefined && { disconnect_grace_ms: graceMs }),
      },
      idempotencyHeader(key),
    ),
  accepted({ status, json }) {
    if (![200, 201].includes(status) || typeof json?.job_id !== 'string') return undefined;
    return { id: json.job_id, path: json.stream_url };
  },
  read(base, { id, path }, cursor, inQuery = false) {
    // The server names the path with its own prefix and signature.
    const url = path ?? `${base}/v1/stream?job_id=${encodeURIComponent(id)}`;
    const query =
      inQuery && cursor !== undefined ? `&last_event_id=${encodeURIComponent(cursor)}` : '';
    return {
      path: `${url}${query}`,
      headers: {
        ...ACCEPT_STREAM,
        ...(cursor !== undefined && !inQuery && { 'last-event-id': cursor }),
      },
    };
  },
  decoder: () => decode,
  cancel: (base, { id }) => ({
    method: 'POST',
    path: `${base}/v1/jobs/${encodeURIComponent(id)}/cancel`,
  }),
  state: (base, { id }) => ({ path: `${base}/v1/jobs/${encodeURIComponent(id)}` }),
  readState: ({ status, text }) => ({
    outcome: /** @type {Record<string, Item['outcome']>} */ (STATES)[status],
    text,
  }),
  fanIn(base, jobs, cursor) {
    const query = jobs.map(({ id }) => `job_id=${encodeURIComponent(id)}`).join('&');
    return {
      path: `${base}/v1/events?${query}`,
      headers: { ...ACCEPT_STREAM, ...(cursor !== undefined && { 'last-event-id': cursor }) },
    };
  },
  fanInDecoder: () => decode,
  beyond: () => '1-999999999',
};
