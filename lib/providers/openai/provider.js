/**
 * The provider for OpenAI-compatible servers (OpenAI, vLLM, llama.cpp, Ollama, ...).
 *
 * Mode `chat` makes one `POST {base}/chat/completions` per request. Mode `completions` makes one
 * `POST {base}/completions` per batch, with an array of prompts, whose interleaved choices are
 * split back into requests; requests of one batch that differ in model, max_tokens, temperature or
 * stop cannot share a call, so a batch makes one call for each distinct set of these.
 *
 * Token counts are asked for with `stream_options.include_usage`. A server that refuses the
 * request because of that member is asked again without it, from then on for good. The counts of
 * a call with several prompts are a sum, so they are not reported for its requests.
 *
 * A gateway in real time has its hub make the calls (`relay`), where the addon finds a libcurl: then
 * no token passes through JavaScript. Otherwise they go by undici (`generate`, `generateBatch`).
 */
import { rangeError, typeError } from '../../internal/util/errors.js';
import { checkChoice, checkMs, checkOptions, checkString } from '../../internal/util/validate.js';
import { Answer, AnswerStream } from './answers.js';
import { choosesRelay, refusalOf, relayErrors } from './relay.js';
import { merge } from './merge.js';
import { UpstreamCall } from './call.js';
import { UpstreamConnections } from './connections.js';
import { refusesUsage } from './errors.js';
import { kUnnamedModel } from '../shared/unnamed-model.js';

/** @typedef {import('../shared/types.js').BatchEvent} BatchEvent */
/** @typedef {import('../shared/types.js').ProviderEnd} ProviderEnd */
/** @typedef {import('../shared/types.js').ProviderRequest} ProviderRequest */

/**
 * A request; one that cannot be cancelled by itself needs no signal.
 * @typedef {Omit<ProviderRequest, 'signal'> & {signal?: AbortSignal}} OpenAiRequest
 */

/**
 * @typedef {object} OpenAiOptions
 * @property {string} baseUrl where the API is: `http://host:port/v1`, or another path; without a
 *   path `/v1` is added
 * @property {string} [apiKey] sent as a bearer token
 * @property {string} [model] the one model that requests may name, and the default; without it any
 *   may be named, and a request that names none leaves the choice to the server
 * @property {'chat' | 'completions'} [mode] default `chat`
 * @property {number} [idleMs] longest silence of the upstream, from the request on, while somebody
 *   waits for it; default 60000
 * @property {Record<string, string>} [headers] sent along with every call
 * @property {'auto' | 'native' | 'undici'} [client] what makes a gateway's calls: libcurl on the
 *   reactor's thread, which heeds the proxy variables of the environment as curl does, or undici;
 *   `auto`, the default, is libcurl where there is one
 */

const kIdleMsDefault = 60_000;

/**
 * Where calls go.
 * @param {unknown} value
 * @returns {{origin: URL, path: string}} `path` without a slash at its end
 */
function parseBaseUrl(value) {
  const takes = 'baseUrl takes an http or https URL without credentials, query or fragment';
  const text = checkString('baseUrl', value);
  if (!URL.canParse(text)) throw rangeError(takes);
  const url = new URL(text);
  if (!/^https?:$/.test(url.protocol)) throw rangeError(takes);
  if (url.username || url.password || url.search || url.hash) throw rangeError(takes);
  const path = url.pathname.replace(/\/+$/, '');
  return { origin: url, path: path || '/v1' };
}

/**
 * @param {string} name
 * @param {string} value not shown: it may be a secret
 */
function checkHeader(name, value) {
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
    throw rangeError(`headers takes valid names, not ${JSON.stringify(name)}`);
  }
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
    throw rangeError(`headers["${name}"] takes a valid header value`);
  }
}

/**
 * @param {string | undefined} apiKey
 * @param {Record<string, string>} extra
 */
function makeHeaders(apiKey, extra) {
  /** @type {Record<string, string>} */
  const headers = { 'content-type': 'application/json', accept: 'text/event-stream' };
  if (apiKey !== undefined) headers.authorization = `Bearer ${apiKey}`;
  for (const [name, value] of Object.entries(extra)) {
    checkHeader(name, checkString(`headers["${name}"]`, value));
    headers[name.toLowerCase()] = value;
  }
  return headers;
}

/** @param {string | undefined} apiKey */
function checkApiKey(apiKey) {
  if (apiKey === undefined) return;
  // The message must not show it.
  if (typeof apiKey !== 'string') throw typeError('apiKey takes a string');
  if (!/^[\x21-\x7e]+$/.test(apiKey)) {
    throw rangeError('apiKey takes visible ASCII characters, without spaces');
  }
}

/**
 * Chat messages for a model that only continues text: one `role: content` paragraph each, and the
 * start of the assistant's.
 * @param {OpenAiRequest} request
 */
function promptOf({ prompt, messages }) {
  if (messages === undefined) return prompt ?? '';
  return `${messages.map(({ role, content }) => `${role}: ${content}\n\n`).join('')}assistant:`;
}

/**
 * The members that requests must agree in to share a call.
 * @param {OpenAiRequest} request
 */
function sharedMembers({ model, maxTokens, temperature, stop }) {
  return {
    ...(model && model !== kUnnamedModel ? { model } : {}),
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(stop === undefined || stop.length === 0 ? {} : { stop }),
  };
}

/**
 * The indices of requests that can share a call, in order of appearance.
 * @param {readonly OpenAiRequest[]} requests
 * @returns {number[][]}
 */
function groupBySharedMembers(requests) {
  /** @type {Map<string, number[]>} */
  const groups = new Map();
  requests.forEach((request, index) => {
    const key = JSON.stringify(sharedMembers(request));
    const group = groups.get(key);
    if (group) group.push(index);
    else groups.set(key, [index]);
  });
  return [...groups.values()];
}

export class OpenAiProvider {
  name = 'openai';
  enforcesMaxTokens = true;
  #connections;
  #relays;
  /** @type {Set<{abort: () => void}>} */
  #relayed = new Set();
  #origin;
  #path;
  #headers;
  /** @type {string[]} */
  #secrets;
  #mode;
  #idleMs;
  #asksForUsage = true;

  /** @param {OpenAiOptions} options */
  constructor(options) {
    const given = checkOptions('options', options);
    const { origin, path } = parseBaseUrl(given.baseUrl);
    checkApiKey(given.apiKey);
    this.#mode = checkChoice(
      'mode',
      given.mode,
      /** @type {const} */ (['chat', 'completions']),
      'chat',
    );
    this.#idleMs = checkMs('idleMs', given.idleMs, { min: 1, fallback: kIdleMsDefault });
    const clients = /** @type {const} */ (['auto', 'native', 'undici']);
    this.#relays = choosesRelay(checkChoice('client', given.client, clients, 'auto'), origin);
    this.#origin = origin.origin;
    this.#path = path;
    this.#headers = makeHeaders(given.apiKey, checkOptions('headers', given.headers));
    this.#secrets = given.apiKey === undefined ? [] : [given.apiKey];
    this.#connections = new UpstreamConnections(origin);
    /** @type {{id: string}[]} */
    this.models = given.model === undefined ? [] : [{ id: checkString('model', given.model) }];
    this.takesBatches = this.#mode === 'completions';
  }

  /**
   * One request's text, piece by piece; returns how it ended. Rejects with a ProviderError, or
   * with the reason of the signal that was aborted.
   * @param {OpenAiRequest} request
   * @param {{signal?: AbortSignal}} [options]
   * @returns {AsyncIterableIterator<string, ProviderEnd | undefined>}
   */
  generate(request, { signal } = {}) {
    const items = this.#run([{ ...request, signal: undefined }], [signal, request.signal]);
    /**
     * @param {IteratorResult<BatchEvent, void>} result
     * @returns {IteratorResult<string, ProviderEnd | undefined>}
     */
    const unwrap = ({ done, value }) => {
      if (done) return { done: true, value: undefined };
      if (value.text !== undefined) return { done: false, value: value.text };
      if (value.error !== undefined) throw value.error;
      return { done: true, value: value.end };
    };
    return {
      next: () => items.next().then(unwrap),
      return: () => items.return().then(unwrap),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /**
   * The items of all requests as they come, each request ending with an `end` or an `error`
   * (except those whose own signal was aborted). Rejects with the reason of `signal` only.
   * @param {readonly OpenAiRequest[]} requests
   * @param {{signal?: AbortSignal}} [options]
   * @returns {AsyncIterableIterator<BatchEvent, void>}
   */
  generateBatch(requests, { signal } = {}) {
    return this.#run(requests, [signal]);
  }

  /**
   * Whether `relay` is to be used for these jobs.
   * @param {Pick<import('../../internal/native/relay-types.js').RelayHub, 'relays'>} hub
   * @param {readonly number[]} handles
   */
  relays(hub, handles) {
    return this.#relays && hub.relays(handles);
  }

  /**
   * As `generateBatch`, with text and ends going straight to the jobs' logs. Resolves when nothing
   * more will be said of any of them.
   * @param {readonly OpenAiRequest[]} requests
   * @param {object} to
   * @param {import('../../internal/native/relay-types.js').RelayHub} to.hub
   * @param {readonly number[]} to.handles the requests' jobs; one that ends closes its answer
   * @param {(index: number, error: import('../shared/errors.js').ProviderError) => void} to.onError called
   *   for each request that failed; its job has not ended
   */
  async relay(requests, to) {
    await Promise.all(this.#groups(requests).map((group) => this.#relayGroup(requests, group, to)));
  }

  /** Closes every connection; calls under way fail. Idempotent. */
  async close() {
    this.#connections.close();
    for (const call of this.#relayed) call.abort();
  }

  /**
   * The indices of the requests of each call.
   * @param {readonly OpenAiRequest[]} requests
   */
  #groups(requests) {
    return this.#mode === 'chat' ? requests.map((_, i) => [i]) : groupBySharedMembers(requests);
  }

  /**
   * @param {readonly OpenAiRequest[]} requests
   * @param {readonly number[]} group
   * @param {Parameters<OpenAiProvider['relay']>[1]} to
   */
  async #relayGroup(requests, group, { hub, handles, onError }) {
    const members = group.map((index) => requests[index]);
    const request = {
      url: `${this.#origin}${this.#callPath}`,
      headers: Object.entries(this.#headers).map(([name, value]) => `${name}: ${value}`),
      idleMs: this.#idleMs,
      jobs: group.map((index) => handles[index]),
      deltasMax: members.map(({ maxTokens = Infinity }) => maxTokens),
    };
    for (;;) {
      const asksForUsage = this.#asksForUsage;
      const call = hub.relay({ ...request, body: this.#body(members, asksForUsage) });
      this.#relayed.add(call);
      const outcome = await call.done;
      this.#relayed.delete(call);
      if (outcome === null) return;
      if (asksForUsage && refusesUsage(refusalOf(outcome))) {
        this.#asksForUsage = false;
        continue;
      }
      const errors = relayErrors(outcome, { idleMs: this.#idleMs, secrets: this.#secrets });
      errors.forEach((error, i) => error && onError(group[i], error));
      return;
    }
  }

  /**
   * The items of `requests`, over as few calls as the mode needs.
   * @param {readonly OpenAiRequest[]} requests
   * @param {(AbortSignal | undefined)[]} signals one aborted ends all
   */
  #run(requests, signals) {
    const streams = this.#groups(requests).map((group) => this.#stream(requests, group, signals));
    const items = streams.length === 1 ? streams[0].items() : merge(streams.map((s) => s.items()));
    return {
      next: () => items.next(),
      // A generator takes no notice before the read it waits for is over: stopping ends that.
      return: () => {
        for (const stream of streams) stream.stop();
        return items.return();
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /**
   * One call.
   * @param {readonly OpenAiRequest[]} requests
   * @param {readonly number[]} group the indices of those that share the call
   * @param {(AbortSignal | undefined)[]} signals
   */
  #stream(requests, group, signals) {
    const members = group.map((index) => requests[index]);
    return new AnswerStream({
      createCall: () =>
        new UpstreamCall(this.#connections, { idleMs: this.#idleMs, secrets: this.#secrets }),
      open: (call) => this.#open(call, members),
      answers: group.map((index) => new Answer(index, requests[index].maxTokens)),
      signals,
      answerSignals: members.map(({ signal }) => signal),
      secrets: this.#secrets,
    });
  }

  /**
   * @param {UpstreamCall} call
   * @param {readonly OpenAiRequest[]} members they agree in what they share
   */
  async #open(call, members) {
    const asksForUsage = this.#asksForUsage;
    try {
      return await this.#post(call, members, asksForUsage);
    } catch (error) {
      if (!asksForUsage || !refusesUsage(call.refusal)) throw error;
      this.#asksForUsage = false;
      return this.#post(call, members, false);
    }
  }

  /**
   * @param {UpstreamCall} call
   * @param {readonly OpenAiRequest[]} members
   * @param {boolean} asksForUsage
   */
  #post(call, members, asksForUsage) {
    return call.open(this.#callPath, this.#headers, this.#body(members, asksForUsage));
  }

  get #callPath() {
    return `${this.#path}${this.#mode === 'chat' ? '/chat/completions' : '/completions'}`;
  }

  /**
   * @param {readonly OpenAiRequest[]} members
   * @param {boolean} asksForUsage
   */
  #body(members, asksForUsage) {
    const isChat = this.#mode === 'chat';
    const [{ messages, prompt }] = members;
    return JSON.stringify({
      ...sharedMembers(members[0]),
      ...(isChat
        ? { messages: messages ?? [{ role: 'user', content: prompt ?? '' }] }
        : { prompt: members.map(promptOf) }),
      stream: true,
      ...(asksForUsage ? { stream_options: { include_usage: true } } : {}),
    });
  }
}

/**
 * @param {OpenAiOptions} options
 * @returns {OpenAiProvider}
 */
export function openai(options) {
  return new OpenAiProvider(options);
}
