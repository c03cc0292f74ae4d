import { rangeError, typeError } from '../../internal/util/errors.js';
import { OPENAI_OPTIONS } from '../option-table.js';
import { checkOptions, checkString } from '../../internal/util/validate.js';
import { checkTable } from '../../internal/util/option-table.js';
import { choosesLibcurl, refusalOf, relayErrors } from './relay.js';
import { feedAnswer } from './call.js';
import { parseBaseUrl } from './base-url.js';
import { UpstreamConnections } from './connections.js';
import { refusedMember } from './errors.js';
import { UNNAMED_MODEL } from '../shared/unnamed-model.js';

/** @typedef {import('../shared/types.js').ProviderRequest} ProviderRequest */

/** @typedef {Omit<ProviderRequest, 'signal'>} OpenAiRequest */

/** @typedef {import('../option-table.js').OpenAiOptions} OpenAiOptions */

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
  const headers = {
    'content-type': 'application/json',
    accept: 'text/event-stream',
    'accept-encoding': 'identity',
  };
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
 * The members that must be equal for requests to share a call.
 * @param {OpenAiRequest} request
 */
function sharedMembers({ model, maxTokens, temperature, stop }) {
  return {
    ...(model && model !== UNNAMED_MODEL ? { model } : {}),
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(stop === undefined || stop.length === 0 ? {} : { stop }),
  };
}

/**
 * The indices of requests that can share a call, in order of appearance.
 * @param {readonly OpenAiRequest[]} requests
 * @param {(index: number) => number} shardOf the thread of a request's job
 * @returns {number[][]}
 */
function groupRequests(requests, shardOf) {
  /** @type {Map<string, number[]>} */
  const groups = new Map();
  requests.forEach((request, index) => {
    const key = JSON.stringify([shardOf(index), sharedMembers(request)]);
    const group = groups.get(key);
    if (group) group.push(index);
    else groups.set(key, [index]);
  });
  return [...groups.values()];
}

/** @typedef {'stream_options' | 'max_tokens' | 'max_completion_tokens'} SwappedMember */

/** Models whose refusals are remembered; names are chosen by callers. */
const MODELS_MAX = 1000;

/**
 * The provider for OpenAI-compatible servers (OpenAI, vLLM, llama.cpp, Ollama, ...).
 *
 * Mode `chat` makes one `POST {base}/chat/completions` per request. Mode `completions` makes one
 * `POST {base}/completions` per batch, with an array of prompts, whose interleaved choices are
 * split back into requests; requests of one batch that differ in model, max_tokens, temperature or
 * stop cannot share a call, so a batch makes one call for each distinct set of these.
 *
 * Token counts are requested with `stream_options.include_usage`. If a server refuses that member,
 * the call is repeated without it; if it refuses `max_tokens`, with `max_completion_tokens`
 * instead, and vice versa. Refusals are remembered by model. The counts of a call with several
 * prompts are a sum, so they are not reported for its requests.
 *
 * The answer's bytes go to the native relay, which decodes them and writes the jobs' logs. The
 * transport is libcurl in the hub, on its own thread, or undici: without libcurl, by option, and
 * under a manual clock.
 */
export class OpenAiProvider {
  name = 'openai';
  enforcesMaxTokens = true;
  #connections;
  #usesLibcurl;
  /** @type {Set<import('../../internal/native/relay-types.js').RelayedCall>} running calls */
  #calls = new Set();
  #origin;
  #path;
  #headers;
  /** @type {string[]} */
  #secrets;
  #mode;
  #idleMs;
  /** Members refused by servers, by model. @type {Map<string, Set<SwappedMember>>} */
  #refused = new Map();

  /** @param {OpenAiOptions} options */
  constructor(options) {
    const given = checkTable('providers.openai', OPENAI_OPTIONS, options);
    const { origin, path } = parseBaseUrl(given.baseUrl);
    checkApiKey(given.apiKey);
    this.#mode = given.mode;
    this.#idleMs = given.idleMs;
    this.#usesLibcurl = choosesLibcurl(given.client, origin);
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
   * Makes the calls for requests, as few as the mode permits. Resolves after the last event of any
   * of their jobs.
   * @param {readonly OpenAiRequest[]} requests
   * @param {object} to
   * @param {import('../../internal/native/relay-types.js').RelayHub} to.hub
   * @param {readonly number[]} to.handles the requests' jobs; one that ends closes its answer
   * @param {(index: number, error: import('../shared/errors.js').ProviderError) => void} to.onError
   *   called for each request that failed; its job has not ended
   */
  async relay(requests, to) {
    const groups =
      this.#mode === 'chat'
        ? requests.map((_, i) => [i])
        : groupRequests(requests, (i) => to.hub.shardOf(to.handles[i]));
    await Promise.all(groups.map((group) => this.#relayGroup(requests, group, to)));
  }

  /** Closes every connection; running calls fail. Idempotent. */
  async close() {
    this.#connections.close();
    for (const call of this.#calls) call.abort();
  }

  /**
   * @param {readonly OpenAiRequest[]} requests
   * @param {readonly number[]} group the indices of requests that share a call
   * @param {Parameters<OpenAiProvider['relay']>[1]} to
   */
  async #relayGroup(requests, group, { hub, handles, onError }) {
    const members = group.map((index) => requests[index]);
    const target = { idleMs: this.#idleMs, jobs: group.map((index) => handles[index]) };
    const refused = new Set(this.#refused.get(members[0].model));
    for (;;) {
      const body = this.#body(members, refused);
      const call = this.#start(hub, target, JSON.stringify(body));
      this.#calls.add(call);
      const outcome = await call.done;
      this.#calls.delete(call);
      if (outcome === null) return;
      const sent = SWAPPED_MEMBERS.filter((member) => member in body && !refused.has(member));
      const member = refusedMember(refusalOf(outcome), sent);
      if (member !== undefined) {
        refused.add(member);
        this.#remember(members[0].model, member);
        continue;
      }
      const errors = relayErrors(outcome, { idleMs: this.#idleMs, secrets: this.#secrets });
      errors.forEach((error, i) => error && onError(group[i], error));
      return;
    }
  }

  /**
   * @param {string} model
   * @param {SwappedMember} member
   */
  #remember(model, member) {
    const known = this.#refused.get(model) ?? new Set();
    known.add(member);
    this.#refused.delete(model);
    this.#refused.set(model, known);
    const [oldest] = this.#refused.keys();
    if (this.#refused.size > MODELS_MAX) this.#refused.delete(oldest);
  }

  /**
   * @param {import('../../internal/native/relay-types.js').RelayHub} hub
   * @param {import('../../internal/native/relay-types.js').RelayTarget} target
   * @param {string} body
   */
  #start(hub, target, body) {
    const path = this.#callPath;
    if (this.#usesLibcurl && hub.makesCalls) {
      const headers = Object.entries(this.#headers).map(([name, value]) => `${name}: ${value}`);
      return hub.relay({ ...target, url: `${this.#origin}${path}`, headers, body });
    }
    const request = { path, headers: this.#headers, body, idleMs: this.#idleMs };
    return hub.relayFed(target, (fed) => void feedAnswer(this.#connections, request, fed));
  }

  get #callPath() {
    return `${this.#path}${this.#mode === 'chat' ? '/chat/completions' : '/completions'}`;
  }

  /**
   * @param {readonly OpenAiRequest[]} members
   * @param {ReadonlySet<SwappedMember>} refused
   * @returns {Record<string, unknown>}
   */
  #body(members, refused) {
    const isChat = this.#mode === 'chat';
    const [{ messages, prompt }] = members;
    const { max_tokens: maxTokens, ...shared } = sharedMembers(members[0]);
    return {
      ...shared,
      ...(maxTokens === undefined ? {} : limitMember(maxTokens, refused)),
      ...(isChat
        ? { messages: messages ?? [{ role: 'user', content: prompt ?? '' }] }
        : { prompt: members.map(promptOf) }),
      stream: true,
      ...(refused.has('stream_options') ? {} : { stream_options: { include_usage: true } }),
    };
  }
}

/** @type {readonly SwappedMember[]} */
const SWAPPED_MEMBERS = ['stream_options', 'max_tokens', 'max_completion_tokens'];

/**
 * The limit under a name that the server has not refused; a server that refuses both gets none.
 * @param {number} maxTokens
 * @param {ReadonlySet<SwappedMember>} refused
 */
function limitMember(maxTokens, refused) {
  if (!refused.has('max_tokens')) return { max_tokens: maxTokens };
  return refused.has('max_completion_tokens') ? {} : { max_completion_tokens: maxTokens };
}

/**
 * @param {OpenAiOptions} options
 * @returns {OpenAiProvider}
 */
export function openai(options) {
  return new OpenAiProvider(options);
}
