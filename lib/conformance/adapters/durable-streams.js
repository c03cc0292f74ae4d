/**
 * Durable Streams: the suite itself appends, and reads with `live=sse`. Each text is a separate JSON message, since
 * SSE cannot transport all characters of plain text.
 */
import { randomUUID } from 'node:crypto';
import { brief, check } from '../wire/failure.js';
import { parseJson } from './request.js';

/** @typedef {import('../types.js').Item} Item */
/** @typedef {import('../types.js').Source} Source */
/** @typedef {import('../types.js').RequestParts} RequestParts */
/** @typedef {import('../wire/stream.js').Stream} Stream */

const JSON_TYPE = Object.freeze({ 'content-type': 'application/json' });

/** @param {import('../wire/blocks.js').Block} block @returns {Item[]} */
function decode({ event, data }) {
  if (data === undefined) return [];
  const value = parseJson(data);
  if (event === 'data') {
    const text = Array.isArray(value) ? value.join('') : String(value);
    return [{ kind: 'text', text, raw: data }];
  }
  const { streamNextOffset: cursor, streamClosed } = value ?? {};
  if (streamClosed === true) return [{ kind: 'terminal', outcome: 'complete', cursor, raw: data }];
  return [{ kind: 'other', cursor, raw: data }];
}

/**
 * A stream written by the suite.
 * @implements {Source}
 */
class Writer {
  #call;
  #closed = false;
  prompt = '';
  calls = 1;
  /** @type {string | undefined} */
  text;

  /** @param {(parts: RequestParts) => Promise<Stream>} call @param {string} base */
  constructor(call, base) {
    this.#call = call;
    const id = `conformance-${randomUUID()}`;
    this.job = { id, path: `${base}/${id}` };
  }

  /** @param {Omit<RequestParts, 'path'>} parts */
  async #send(parts) {
    const { status, body } = await this.#call({ path: this.job.path, ...parts });
    check(
      status >= 200 && status < 300,
      () => `${parts.method} ${this.job.path} got ${status} ${brief(body)}`,
    );
  }

  started() {
    return this.#send({ method: 'PUT', headers: { ...JSON_TYPE } });
  }

  /** @param {string} text */
  write(text) {
    return this.#send({ method: 'POST', headers: { ...JSON_TYPE }, body: JSON.stringify([text]) });
  }

  async end() {
    this.#closed = true;
    await this.#send({ method: 'POST', headers: { ...JSON_TYPE, 'stream-closed': 'true' } });
  }

  /** @returns {Promise<never>} */
  async raw() {
    throw new Error('the dialect has no model behind it');
  }

  fail = this.raw;
  left = this.raw;

  hasLeft() {
    return this.#closed;
  }

  close() {
    void this.#send({ method: 'DELETE' }).catch(() => {});
  }
}

/** @type {import('../types.js').Adapter} */
export const durableStreams = {
  name: 'durable-streams',
  title: 'Durable Streams, live=sse',
  defaultPath: '/v1/stream',
  features: ['producer', 'resume', 'cursor', 'replay', 'fan-out', 'runs-on'],
  badCursor: 'refuse',
  submit() {
    throw new Error('the suite appends itself');
  },
  accepted: () => undefined,
  read: (base, { id, path }, cursor = '-1') => ({
    path: `${path ?? `${base}/${id}`}?live=sse&offset=${encodeURIComponent(cursor)}`,
  }),
  decoder: () => decode,
  source: (call, base) => new Writer(call, base),
};
