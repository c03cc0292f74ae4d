import { OPENAI_OPTIONS } from '../option-table.js';
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
import { choosesNative } from './relay.js';
import { relayGroup } from './relayed-group.js';
import { ModelList } from '../shared/model-list.js';
import { RefusedMembers } from '../shared/refused-members.js';
import { feedAnswer } from './call.js';
import { UNNAMED_MODEL } from '../shared/types.js';
import { UpstreamConnections } from './connections.js';
import { fetchEmbeddings } from './embeddings.js';
import { groupRequests } from './body.js';
import { DEFAULT_FEATURES } from '../shared/features.js';

/** @typedef {import('./body.js').OpenAiRequest} OpenAiRequest */

/** @typedef {import('../option-table.js').OpenAiOptions} OpenAiOptions */

/**
 * @param {string | undefined} apiKey
 * @param {Record<string, string>} extra by names in lower case
 * @returns {Record<string, string>}
 */
function makeHeaders(apiKey, extra) {
  return {
    'content-type': 'application/json',
    accept: 'text/event-stream',
    'accept-encoding': 'identity',
    ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
    ...extra,
  };
}

/** The group of a request on its own. */
const FIRST = Object.freeze([0]);

/** Models whose refusals are remembered; names are chosen by callers. */
const MODELS_MAX = 1000;

/**
 * The provider for OpenAI-compatible servers (OpenAI, vLLM, llama.cpp, Ollama, ...).
 *
 * Mode `chat` makes one `POST {base}/chat/completions` per request. Mode `completions` makes one
 * `POST {base}/completions` per batch, with an array of prompts, whose interleaved choices are
 * split back into requests; requests of one batch whose bodies differ in more than the prompt cannot
 * share a call, so a batch makes one call for each distinct body.
 *
 * Members that the gateway does not interpret are copied into the body unchanged.
 *
 * Token counts are requested with `stream_options.include_usage`. If a server refuses that member,
 * the call is repeated without it; if it refuses the caller's name of the limit, `max_tokens` or
 * `max_completion_tokens`, with the other one. Refusals are remembered by model. The counts of a call with several
 * prompts are a sum, so they are not reported for its requests.
 *
 * The answer's bytes go to the native relay, which decodes them and writes the jobs' logs. The
 * transport is a client in the hub, on its own thread, or undici: without libcurl, by option, and
 * under a manual clock.
 */
export class OpenAiProvider {
  name = 'openai';
  enforcesMaxTokens = true;
  reportsCalls = true;
  #connections;
  #isNative;
  /** @type {Set<import('../../internal/native/relay-types.js').RelayedCall>} running calls */
  #calls = new Set();
  #origin;
  #path;
  #query;
  #list;
  #headers;
  /** @type {string[]} */
  #secrets;
  #mode;
  #idleMs;
  /** Models for which the server returns embeddings only as numbers. @type {Set<string>} */
  #floats = new Set();
  /** @type {import('./relayed-group.js').Caller} */
  #caller;

  /** @param {OpenAiOptions} options */
  constructor(options) {
    const given = checkTable('providers.openai', OPENAI_OPTIONS, options);
    const { url: origin, path, query: pasted } = parseBaseUrl('baseUrl', given.baseUrl);
    const apiKey = checkApiKey('apiKey', given.apiKey);
    const headers = checkHeaders('headers', given.headers);
    const query = { ...pasted, ...checkStrings('query', given.query) };
    this.#mode = given.mode;
    this.#idleMs = given.idleMs;
    this.#isNative = choosesNative(given.client, origin);
    this.#origin = origin.origin;
    this.#path = path;
    this.#query = queryString(query);
    this.#headers = makeHeaders(apiKey, headers);
    this.#secrets = secretsOf(apiKey, headers, query);
    this.#list = new ModelList({
      address: `${origin.origin}${path}`,
      query: this.#query,
      headers: this.#headers,
      only: given.model,
    });
    this.#connections = new UpstreamConnections(origin);
    this.#caller = {
      mode: this.#mode,
      origin: this.#origin,
      idleMs: this.#idleMs,
      secrets: this.#secrets,
      refused: new RefusedMembers(),
      calls: this.#calls,
      start: (...call) => this.#start(...call),
    };
    /** @type {{id: string}[]} */
    this.models = given.model === undefined ? [] : [{ id: checkString('model', given.model) }];
    this.takesBatches = this.#mode === 'completions';
    /** @type {'chat' | 'text_completion'} */
    this.operation = this.takesBatches ? 'text_completion' : 'chat';
    /** @type {readonly import('../shared/features.js').Feature[]} */
    this.features = this.takesBatches
      ? ['token_prompts', 'choices']
      : [...DEFAULT_FEATURES, 'choices'];
  }

  /**
   * Makes the calls for requests, as few as the mode permits. Resolves after the last event of any
   * of their jobs.
   * @param {readonly OpenAiRequest[]} requests
   * @param {import('./relayed-group.js').RelayTo} to
   */
  relay(requests, to) {
    // Most calls are for one request, and one promise then lasts as long as its stream.
    if (requests.length === 1) return relayGroup(this.#caller, requests, FIRST, to);
    return this.#relayAll(requests, to);
  }

  /**
   * @param {readonly OpenAiRequest[]} requests
   * @param {import('./relayed-group.js').RelayTo} to
   */
  async #relayAll(requests, to) {
    const groups =
      this.#mode === 'chat'
        ? requests.map((_, i) => [i])
        : groupRequests(requests, (i) => to.hub.shardOf(to.handles[i]));
    await Promise.all(groups.map((group) => relayGroup(this.#caller, requests, group, to)));
  }

  /**
   * Requests base64, which is exact and needs a third of the bytes; numbers if the server refuses base64.
   * @param {import('../shared/types.js').EmbeddingCall} call
   * @param {{signal: AbortSignal, onCall?: import('../shared/types.js').OnCall}} options
   * @returns {Promise<import('../shared/types.js').EmbeddingAnswer>}
   * @throws {import('../shared/errors.js').ProviderError}
   */
  async embed({ model, inputs, body }, { signal, onCall }) {
    const named = model === UNNAMED_MODEL ? {} : { model };
    for (;;) {
      const encoding = this.#floats.has(model) ? 'float' : 'base64';
      const report = onCall?.([], { url: this.#origin, model, provider: this.name });
      const call = {
        path: `${this.#path}/embeddings${this.#query}`,
        headers: { ...this.#headers, ...report?.headers },
        body: { ...body, ...named, input: inputs, encoding_format: encoding },
        count: inputs.length,
        idleMs: this.#idleMs,
        secrets: this.#secrets,
      };
      try {
        const answer = await fetchEmbeddings(this.#connections, call, signal);
        const { promptTokens: tokens } = answer;
        report?.end(undefined, tokens === undefined ? undefined : { prompt_tokens: tokens });
        return answer;
      } catch (/** @type {any} */ error) {
        report?.end(error);
        const { status, message = '' } = error.upstream ?? {};
        const refused =
          (status === 400 || status === 422) && /encoding_format|base64/i.test(message);
        if (!refused || encoding === 'float') throw error;
        if (this.#floats.size < MODELS_MAX) this.#floats.add(model);
      }
    }
  }

  /**
   * The models that the server lists; with the option `model` only that model.
   * @returns {Promise<readonly import('../shared/model-list.js').ListedModel[]>} never rejects
   */
  listModels() {
    return this.#list.models();
  }

  /** @returns {Promise<import('../shared/types.js').UpstreamProblem[]>} empty: the server lists its models */
  check() {
    return this.#list.check(this.name);
  }

  /** Closes every connection; running calls fail. Idempotent. */
  async close() {
    this.#list.close();
    this.#connections.close();
    for (const call of this.#calls) call.abort();
  }

  /**
   * @param {import('../../internal/native/relay-types.js').RelayHub} hub
   * @param {import('../../internal/native/relay-types.js').RelayTarget} target
   * @param {string} body
   * @param {Record<string, string>} [more] headers of this call
   */
  #start(hub, target, body, more) {
    const path = this.#callPath;
    const all = more === undefined ? this.#headers : { ...this.#headers, ...more };
    if (this.#isNative && hub.makesCalls) {
      const headers = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
      return hub.relay({ ...target, url: `${this.#origin}${path}`, headers, body });
    }
    const request = { path, headers: all, body, idleMs: this.#idleMs };
    return hub.relayFed(target, (fed) => void feedAnswer(this.#connections, request, fed));
  }

  get #callPath() {
    const call = this.#mode === 'chat' ? '/chat/completions' : '/completions';
    return `${this.#path}${call}${this.#query}`;
  }
}

/**
 * @param {OpenAiOptions} options
 * @returns {OpenAiProvider}
 */
export function openai(options) {
  return new OpenAiProvider(options);
}
