/** The bodies of calls to an OpenAI-compatible server. Pure functions. */
import { UNNAMED_MODEL } from '../shared/types.js';
import { textOf, withoutKept } from '../shared/messages.js';
import { stringifyExact } from '../../internal/util/exact-json.js';

/** @typedef {Omit<import('../shared/types.js').ProviderRequest, 'signal'>} OpenAiRequest */

/** @typedef {'stream_options' | 'max_tokens' | 'max_completion_tokens'} SwappedMember */

/** @type {readonly SwappedMember[]} */
const SWAPPED_MEMBERS = ['stream_options', 'max_tokens', 'max_completion_tokens'];

/**
 * The members of a body that the server may refuse: the call is then repeated without them, or with
 * a replacement.
 * @param {Record<string, unknown>} body
 * @param {ReadonlySet<SwappedMember>} refused so far
 */
export function swappableIn(body, refused) {
  return SWAPPED_MEMBERS.filter((member) => member in body && !refused.has(member));
}

/**
 * Chat messages for a model that only continues text: one `role: content` paragraph each, and the
 * start of the assistant's.
 * @param {OpenAiRequest} request
 */
function promptOf({ prompt, promptIds, messages }) {
  if (messages === undefined) return promptIds ?? prompt ?? '';
  const paragraphs = messages.map((message) => `${message.role}: ${textOf(message)}\n\n`);
  return `${paragraphs.join('')}assistant:`;
}

/**
 * The limit of the answer, under a name that the server has not refused; for a server that refuses both
 * there is none.
 * @param {OpenAiRequest} request
 * @param {ReadonlySet<SwappedMember>} refused
 */
function limitMembers({ maxTokens, limitName = 'max_tokens', body = {} }, refused) {
  if (maxTokens === undefined) return {};
  const other = limitName === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens';
  if (!refused.has(limitName)) return { [limitName]: maxTokens };
  return refused.has(other) || other in body ? {} : { [other]: maxTokens };
}

/**
 * @param {Record<string, any>} body given by the caller
 * @param {ReadonlySet<SwappedMember>} refused
 * @returns {Record<string, any>} without the members that the server has refused
 */
function accepted(body, refused) {
  if (!SWAPPED_MEMBERS.some((member) => member in body && refused.has(member))) return body;
  return Object.fromEntries(
    Object.entries(body).filter(([name]) => !refused.has(/** @type {SwappedMember} */ (name))),
  );
}

/**
 * The members besides messages and prompt, which are equal for requests that share a call.
 * @param {OpenAiRequest} request
 * @param {ReadonlySet<SwappedMember>} refused
 */
function sharedMembers(request, refused) {
  const { model, temperature, stop = [], n } = request;
  // A request in Anthropic's format also contains the original, for such an upstream.
  const { anthropic: _anthropic, anthropic_beta: _beta, ...own } = request.body ?? {};
  const body = accepted(own, refused);
  return {
    ...(stop.length > 0 && { stop }),
    ...body,
    ...(model && model !== UNNAMED_MODEL ? { model } : {}),
    ...(temperature !== undefined && { temperature }),
    ...(n !== undefined && { n }),
    ...limitMembers(request, refused),
    stream: true,
    ...(refused.has('stream_options')
      ? {}
      : { stream_options: { ...body.stream_options, include_usage: true } }),
  };
}

/**
 * @param {'chat' | 'completions'} mode
 * @param {readonly OpenAiRequest[]} members requests of one call
 * @param {ReadonlySet<SwappedMember>} refused members refused by the server
 * @returns {Record<string, unknown>}
 */
export function callBody(mode, members, refused) {
  const [{ messages, prompt }] = members;
  const shared = sharedMembers(members[0], refused);
  if (mode === 'completions') return { ...shared, prompt: members.map(promptOf) };
  const asked = messages?.map(withoutKept) ?? [{ role: 'user', content: prompt ?? '' }];
  return { ...shared, messages: asked };
}

/**
 * The strings that end the text of requests that share a call, also for servers that ignore them.
 * @param {OpenAiRequest} request
 * @returns {string[]}
 */
export function stopsOf({ stop = [], body }) {
  // vLLM then writes the stop string, as requested by the caller.
  return body?.include_stop_str_in_output === true ? [] : [...stop];
}

/** @type {ReadonlySet<SwappedMember>} */
const NONE = new Set();

/**
 * The indices of requests that can share a call, in order of appearance.
 * @param {readonly OpenAiRequest[]} requests
 * @param {(index: number) => number} shardOf the thread of a request's job
 * @returns {number[][]}
 */
export function groupRequests(requests, shardOf) {
  /** @type {Map<string, number[]>} */
  const groups = new Map();
  requests.forEach((request, index) => {
    const { promptIds, n = 1 } = request;
    // An array has either texts or token ids.
    const own = n > 1 ? index : null; // its answers end together
    const parts = [shardOf(index), promptIds === undefined, own, sharedMembers(request, NONE)];
    const key = stringifyExact(parts);
    const group = groups.get(key);
    if (group) group.push(index);
    else groups.set(key, [index]);
  });
  return [...groups.values()];
}
