/**
 * Requests, cancellations and resumes of streams of each system in the row of quality: by the dialects of the conformance
 * suite.
 */
import { ADAPTERS } from '../../lib/conformance/adapters/index.js';
import { Stream } from '../../lib/conformance/wire/stream.js';

/** @typedef {import('../../lib/conformance/types.js').Adapter} Adapter */
/** @typedef {import('../../lib/conformance/types.js').Job} Job */

const TIMEOUT_MS = 30_000;

/** better-sse on Express, as in `peers/openai-better-sse-relay.mjs`. @type {Adapter} */
const betterSse = {
  name: 'better-sse',
  title: 'better-sse',
  defaultPath: '',
  features: ['submit'],
  submit: () => ({ path: '/stream' }),
  accepted: () => undefined,
  read: () => ({ path: '/stream' }),
  decoder:
    () =>
    ({ event, data }) =>
      event === 'token' ? [{ kind: 'text', text: JSON.parse(String(data)).token }] : [],
};

/**
 * @typedef {object} Dialect
 * @property {string} adapter
 * @property {string} [base] path before the dialect's paths
 * @property {object} [body] further members of a submission
 */

/** A disconnect of the client ends the job at once. */
const AT_ONCE = { sluice: { disconnect_grace_ms: 0 } };

/** @type {Record<string, Dialect>} */
const DIALECTS = {
  'sluice-relay': { adapter: 'sluice' },
  'face-chat': { adapter: 'chat', body: AT_ONCE },
  'face-responses': { adapter: 'responses' },
  'face-ui': { adapter: 'ai-sdk', base: '/v1/ui/chat' },
  'face-messages': { adapter: 'messages', body: AT_ONCE },
  'ai-sdk-resumable': { adapter: 'ai-sdk', base: '/api/chat' },
  'openai-better-sse': { adapter: 'better-sse' },
};

export class QualityClient {
  #url;
  #base;
  #body;
  #headers;
  adapter;

  /** @param {string} setup @param {import('./setups.mjs').Started} started */
  constructor(setup, { server, load }) {
    const { adapter, base = '', body = {} } = DIALECTS[setup] ?? { adapter: 'chat' };
    const found = [...ADAPTERS, betterSse].find(({ name }) => name === adapter);
    this.adapter = /** @type {Adapter} */ (found);
    this.#url = new URL(server.url);
    this.#base = base;
    this.#body = body;
    const [name, ...value] = (load[load.indexOf('--header') + 1] ?? '').split(': ');
    /** @type {Record<string, string>} */
    this.#headers = load.includes('--header') ? { [name]: value.join(': ') } : {};
  }

  get canCancel() {
    return this.adapter.cancel !== undefined;
  }

  get canResume() {
    return this.adapter.features.includes('resume');
  }

  get hasCursor() {
    return this.adapter.features.includes('cursor');
  }

  /**
   * @param {import('../../lib/conformance/types.js').RequestParts} parts
   * @param {(block: import('../../lib/conformance/wire/blocks.js').Block) => import('../../lib/conformance/types.js').Item[]} [decode]
   */
  #send(parts, decode = () => []) {
    const headers = { ...this.#headers, ...parts.headers };
    return new Stream(this.#url, { ...parts, headers }, { decode, timeoutMs: TIMEOUT_MS });
  }

  /** A job and its stream. @returns {Promise<{job: Job, stream: Stream}>} */
  async start() {
    const parts = this.adapter.submit(this.#base, { prompt: 'bench', model: 'mock' });
    const body = parts.body && JSON.stringify({ ...JSON.parse(parts.body), ...this.#body });
    const answer = this.#send({ ...parts, body }, this.adapter.decoder());
    await answer.head();
    const isStream = answer.headers['content-type']?.startsWith('text/event-stream') ?? false;
    if (!isStream) {
      await answer.ended();
      if (answer.status >= 300) throw new Error(`a job was refused with ${answer.status}`);
    } else if (this.canResume || this.canCancel) {
      await answer.until(() => this.adapter.accepted(answer) !== undefined, 'id of the job');
    }
    const job = this.adapter.accepted(answer) ?? { id: '' };
    return { job, stream: isStream ? answer : await this.read(job) };
  }

  /** @param {Job} job @param {string} [cursor] */
  read(job, cursor) {
    const parts = this.adapter.read(this.#base, job, cursor);
    return this.#send(parts, this.adapter.decoder(job, cursor)).head();
  }

  /** @param {Job} job @param {Stream} stream */
  async end(job, stream) {
    if (this.adapter.cancel === undefined) stream.close();
    else await this.#send(this.adapter.cancel(this.#base, job)).ended();
  }
}
