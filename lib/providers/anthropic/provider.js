import { createParser } from 'eventsource-parser';
import { ANTHROPIC_OPTIONS } from '../option-table.js';
import { MessageDecoder } from './answer.js';
import { ModelList } from '../shared/model-list.js';
import { PulledAnswer } from './pulled-answer.js';
import { RefusedMembers } from '../shared/refused-members.js';
import { UpstreamConnections } from '../openai/connections.js';
import { checkString } from '../../internal/util/validate.js';
import { checkTable } from '../../internal/util/option-table.js';
import {
  checkApiKey,
  checkHeaders,
  checkStrings,
  parseBaseUrl,
  queryString,
  secretsOf,
} from '../shared/endpoint.js';
import {
  contentTypeError,
  disconnectedError,
  encodingError,
  incompleteError,
  invalidResponse,
  protocolError,
  stalledError,
  statusError,
  unreachableError,
} from '../openai/errors.js';
import { feedAnswer } from '../openai/call.js';
import { messagesBody, refusedMemberOf } from './body.js';
import { whenAborted } from '../../internal/util/abort.js';
import { parseExact, stringifyExact } from '../../internal/util/exact-json.js';

/** @typedef {import('../option-table.js').AnthropicOptions} AnthropicOptions */
/** @typedef {import('./body.js').Refusable} Refusable */
/** @typedef {import('./answer.js').Piece} Piece */

const VERSION = '2023-06-01';

/** Maximum characters of one event, and of a whole answer. */
const EVENT_CHARS_MAX = 16 * 1024 * 1024;
/** Maximum bytes read of the body of a refusal. */
const REFUSAL_BYTES_MAX = 64 * 1024;

/**
 * The provider for Anthropic's Messages API. Chat requests are converted; a request in the format of
 * the API is sent unchanged. Yields text, `{reasoning}`, `{tool_call}` and `{extra}`: the signature of
 * thinking, redacted thinking, citations, and the blocks of tools run by the API.
 *
 * If a server refuses a dispensable member, the call is repeated without it;
 * refusals are remembered by model.
 */
export class AnthropicProvider {
  name = 'anthropic';
  takesBatches = false;
  enforcesMaxTokens = true;
  takesMessages = true;
  reportsCalls = true;
  features = /** @type {const} */ (['tools', 'images', 'files']);
  #connections;
  #list;
  #origin;
  #path;
  #headers;
  #secrets;
  #idleMs;
  /** @type {RefusedMembers<Refusable>} */
  #refused = new RefusedMembers();

  /** @param {AnthropicOptions} [options] */
  constructor(options) {
    const given = checkTable('providers.anthropic', ANTHROPIC_OPTIONS, options);
    const { url, path, query: pasted } = parseBaseUrl('baseUrl', given.baseUrl);
    const apiKey = checkApiKey('apiKey', given.apiKey);
    const headers = checkHeaders('headers', given.headers);
    const query = { ...pasted, ...checkStrings('query', given.query) };
    this.#origin = url.origin;
    this.#path = `${path}/messages${queryString(query)}`;
    this.#headers = {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      'accept-encoding': 'identity',
      'anthropic-version': VERSION,
      ...(apiKey !== undefined && { 'x-api-key': apiKey }),
      ...headers,
    };
    this.#secrets = secretsOf(apiKey, headers, query);
    this.#idleMs = given.idleMs;
    this.#connections = new UpstreamConnections(url);
    this.#list = new ModelList({
      address: `${url.origin}${path}`,
      query: queryString({ limit: '1000', ...query }),
      headers: this.#headers,
      only: given.model,
    });
    /** @type {{id: string}[]} */
    this.models = given.model === undefined ? [] : [{ id: checkString('model', given.model) }];
  }

  /** @returns {Promise<readonly import('../shared/model-list.js').ListedModel[]>} never rejects */
  listModels() {
    return this.#list.models();
  }

  /** @returns {Promise<import('../shared/types.js').UpstreamProblem[]>} */
  check() {
    return this.#list.check(this.name);
  }

  /**
   * @param {Omit<import('../shared/types.js').ProviderRequest, 'signal'>} request
   * @param {{signal: AbortSignal, onCall?: import('../shared/types.js').OnCall}} options
   * @returns {AsyncGenerator<import('../shared/types.js').AnswerPiece,
   *   import('../shared/types.js').ProviderEnd | undefined, void>} pieces of the answer
   */
  async *generate(request, { signal, onCall }) {
    const refused = new Set(this.#refused.of(request.model));
    for (;;) {
      const sent = messagesBody(request, refused);
      const report = onCall?.([0], { url: this.#origin, model: request.model });
      const headers = { ...betaHeaders(request.body), ...report?.headers };
      const answer = this.#post(sent.body, headers);
      /** @type {unknown} */
      let failure;
      if (signal.aborted) answer.close();
      const release = signal.aborted ? () => {} : whenAborted(signal, () => answer.close());
      try {
        const head = await this.#headOf(answer);
        if (head === undefined) return undefined;
        if (head.status >= 200 && head.status < 300) return yield* this.#read(answer, head);
        const text = await readBody(answer, REFUSAL_BYTES_MAX);
        const found = head.status === 400 ? refusedMemberOf(text, sent) : undefined;
        failure = this.#statusError(head, text);
        if (found === undefined) throw failure;
        refused.add(found.member);
        if (found.lasts) this.#refused.add(request.model, found.member);
      } catch (error) {
        failure = error;
        throw error;
      } finally {
        release();
        report?.end(failure);
        if (!answer.isFinished) answer.close();
      }
    }
  }

  /** Closes every connection; running calls fail. Idempotent. */
  async close() {
    this.#list.close();
    this.#connections.close();
  }

  /** @param {object} body @param {Record<string, string>} headers of the caller @returns {PulledAnswer} */
  #post(body, headers) {
    const answer = new PulledAnswer();
    const request = {
      path: this.#path,
      headers: { ...headers, ...this.#headers },
      body: stringifyExact(body),
      idleMs: this.#idleMs,
    };
    void feedAnswer(this.#connections, request, answer);
    return answer;
  }

  /**
   * @param {PulledAnswer} answer
   * @returns {Promise<import('./pulled-answer.js').AnswerHead | undefined>} undefined: closed
   */
  async #headOf(answer) {
    const step = await answer.next();
    if (step.head !== undefined) return step.head;
    if (step.end === 'closed') return undefined;
    if (step.end === 'silent') throw stalledError(this.#idleMs);
    if (step.end === 'protocol') throw protocolError();
    throw unreachableError(step.end === undefined ? '' : step.name);
  }

  /**
   * @param {import('./pulled-answer.js').AnswerHead} head
   * @param {string} text
   */
  #statusError({ status, retryAfter, retryAfterMs, location }, text) {
    const headers = { 'retry-after': retryAfter, 'retry-after-ms': retryAfterMs, location };
    return statusError(status, headers, text, this.#secrets);
  }

  /**
   * @param {PulledAnswer} answer whose head reports success
   * @param {import('./pulled-answer.js').AnswerHead} head
   * @returns {AsyncGenerator<Piece, any, void>}
   */
  async *#read(answer, { contentType = '', contentEncoding = 'identity' }) {
    if (!/^(identity)?$/i.test(contentEncoding)) {
      throw encodingError(contentEncoding, this.#secrets);
    }
    const decoder = new MessageDecoder(this.#secrets);
    if (/^application\/json\b/i.test(contentType)) {
      const whole = parseJson(await readBody(answer, EVENT_CHARS_MAX));
      if (answer.over) return undefined;
      yield* decoder.takeMessage(whole);
      return decoder.end();
    }
    if (!/^text\/event-stream\b/i.test(contentType)) {
      throw contentTypeError(contentType, this.#secrets);
    }
    /** @type {string[]} */
    let events = [];
    let isTooLarge = false;
    const parser = createParser({
      maxBufferSize: EVENT_CHARS_MAX,
      onEvent: ({ data }) => events.push(data),
      onError: ({ type }) => {
        isTooLarge ||= type === 'max-buffer-size-exceeded';
      },
    });
    const utf8 = new TextDecoder();
    for (;;) {
      const { bytes, end } = await answer.next();
      if (end === 'closed') return undefined;
      if (bytes === undefined) {
        if (decoder.isComplete) return decoder.end();
        throw this.#brokenOff(end, decoder);
      }
      parser.feed(utf8.decode(bytes, { stream: true }));
      if (isTooLarge) throw invalidResponse(`an event over ${EVENT_CHARS_MAX} characters`);
      const taken = events;
      events = [];
      for (const data of taken) {
        if (data === '') continue;
        const event = parseJson(data);
        yield* decoder.take(event);
        if (event?.type === 'message_stop' && decoder.isComplete) {
          answer.finish();
          return decoder.end();
        }
      }
    }
  }

  /**
   * @param {import('../../internal/native/relay-types.js').TransferEnd | undefined} end
   * @param {MessageDecoder} decoder
   */
  #brokenOff(end, { begun }) {
    if (end === 'silent') return stalledError(this.#idleMs);
    if (end === 'broken') return disconnectedError();
    if (end === 'protocol') return protocolError();
    return incompleteError(!begun);
  }
}

/**
 * The betas of the API requested by a caller; members of its body may need them.
 * @param {Record<string, any>} [body]
 * @returns {Record<string, string>}
 */
function betaHeaders({ anthropic_beta: beta } = {}) {
  return typeof beta === 'string' && /^[\w.,: -]+$/.test(beta) ? { 'anthropic-beta': beta } : {};
}

/** @param {string} text @returns {any} */
function parseJson(text) {
  try {
    return parseExact(text);
  } catch {
    throw invalidResponse('an event that is not JSON');
  }
}

/**
 * @param {PulledAnswer} answer
 * @param {number} bytesMax
 * @returns {Promise<string>} the part received so far
 */
async function readBody(answer, bytesMax) {
  const chunks = [];
  let size = 0;
  for (;;) {
    const { bytes } = await answer.next();
    if (bytes === undefined) break;
    size += bytes.length;
    if (size > bytesMax) break;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * @param {AnthropicOptions} [options]
 * @returns {AnthropicProvider}
 */
export function anthropic(options) {
  return new AnthropicProvider(options);
}
