/** The bodies of calls to Anthropic's Messages API, from requests of the chat API. Pure functions. */
import { requestRefusal } from '../shared/errors.js';
import { UNNAMED_MODEL } from '../shared/types.js';
import { resumesWithoutThinking, toAnthropicMessages } from './messages.js';

/**
 * A request whose `body` is accessed by member name.
 * @typedef {Omit<import('../shared/types.js').ProviderRequest, 'signal' | 'body'> &
 *   {body?: Record<string, any>}} AnthropicRequest
 */

/**
 * Members that a server has refused for a model: they are omitted. `budget` and `adaptive` are the two
 * ways to request thinking.
 * @typedef {'temperature' | 'top_p' | 'top_k' | 'budget' | 'adaptive'} Refusable
 */

/** The API requires a limit. */
const MAX_TOKENS_DEFAULT = 4096;

const BUDGET_MIN = 1024;

/** Tokens of thinking by the effort of a chat request. @type {Record<string, number>} */
const BUDGETS = {
  minimal: 1024,
  low: 1024,
  medium: 4096,
  high: 16_384,
  xhigh: 32_768,
  max: 32_768,
};

/** Models that accept an effort, not a budget. */
const ADAPTIVE = /claude-(?:(?:opus|sonnet|haiku)-(?:4-[6-9]|[5-9]|\d\d(?!\d))|mythos|fable)/;

/**
 * Members of the chat API without a counterpart: they change the processing, not the answer,
 * or other code handles them. All other members are passed on.
 */
const CHAT_ONLY = new Set([
  ...[
    'anthropic',
    'anthropic_beta',
    'stream',
    'stream_options',
    'n',
    'stop',
    'max_completion_tokens',
    'store',
  ],
  ...['frequency_penalty', 'presence_penalty', 'logit_bias', 'logprobs', 'top_logprobs', 'seed'],
  ...['user', 'metadata', 'tools', 'tool_choice', 'parallel_tool_calls', 'functions'],
  ...[
    'function_call',
    'response_format',
    'reasoning_effort',
    'reasoning',
    'verbosity',
    'modalities',
  ],
  ...['audio', 'prediction', 'prompt_cache_key', 'prompt_cache_retention', 'safety_identifier'],
  ...['web_search_options', 'service_tier', 'model', 'messages', 'system', 'max_tokens'],
]);

/** @param {any} tool of the chat API, or of the API itself */
function toolOf(tool) {
  if (tool?.type !== 'function') return tool;
  const { name, description, parameters, strict } = tool.function ?? {};
  return {
    name,
    ...(description !== undefined && { description }),
    input_schema: parameters ?? { type: 'object', properties: {} },
    ...(strict === true && { strict }),
    ...(tool.cache_control && { cache_control: tool.cache_control }),
  };
}

/** @type {Record<string, string>} */
const CHOICES = { auto: 'auto', none: 'none', required: 'any' };

/** @param {Record<string, any>} body @returns {Record<string, any>} */
function toolMembers({ tools, functions, tool_choice: choice, function_call: call, ...rest }) {
  const older = (functions ?? []).map((/** @type {any} */ one) => ({
    type: 'function',
    function: one,
  }));
  const all = [...(tools ?? []), ...older];
  if (all.length === 0) return {};
  const wanted = choice ?? (typeof call === 'object' ? { function: call } : call);
  /** @type {Record<string, any> | undefined} */
  let chosen;
  if (typeof wanted === 'string') chosen = { type: CHOICES[wanted] ?? 'auto' };
  else if (wanted?.function?.name) chosen = { type: 'tool', name: wanted.function.name };
  else if (wanted?.type) chosen = wanted;
  if (rest.parallel_tool_calls === false && chosen?.type !== 'none') {
    chosen = { ...(chosen ?? { type: 'auto' }), disable_parallel_tool_use: true };
  }
  return { tools: all.map(toolOf), ...(chosen && { tool_choice: chosen }) };
}

/**
 * @param {any} format of the chat API
 * @returns {{members: Record<string, any>, instruction?: string}}
 */
function outputMembers(format) {
  if (format?.type === 'json_schema') {
    const { schema } = format.json_schema ?? {};
    return { members: { output_config: { format: { type: 'json_schema', schema } } } };
  }
  if (format?.type === 'json_object') {
    return { members: {}, instruction: 'Answer with one JSON object and nothing else.' };
  }
  return { members: {} };
}

/**
 * @param {AnthropicRequest} request
 * @param {import('./messages.js').Turn[]} turns
 * @param {ReadonlySet<Refusable>} refused
 * @returns {{members: Record<string, any>, maxTokens: number, asks?: 'budget' | 'adaptive'}}
 */
function thinkingMembers({ model, maxTokens, body = {} }, turns, refused) {
  const plain = { members: {}, maxTokens: maxTokens ?? MAX_TOKENS_DEFAULT };
  const effort = body.reasoning_effort ?? body.reasoning?.effort;
  const budget = Object.hasOwn(BUDGETS, effort) ? BUDGETS[effort] : undefined;
  const isForced = !['auto', 'none', undefined, null].includes(body.tool_choice);
  if (budget === undefined || body.thinking !== undefined || isForced) return plain;
  if (resumesWithoutThinking(turns)) return plain;
  /** @type {('adaptive' | 'budget')[]} */
  const ways = ADAPTIVE.test(model) ? ['adaptive', 'budget'] : ['budget', 'adaptive'];
  const way = ways.find((one) => !refused.has(one));
  if (way === 'adaptive') {
    const output = { effort: effort === 'minimal' ? 'low' : effort };
    return {
      ...plain,
      members: { thinking: { type: 'adaptive' }, output_config: output },
      asks: way,
    };
  }
  const limit = maxTokens ?? budget + MAX_TOKENS_DEFAULT;
  const tokens = Math.min(budget, limit - 1);
  if (way === undefined || tokens < BUDGET_MIN) return plain;
  const thinking = { type: 'enabled', budget_tokens: tokens };
  return { members: { thinking }, maxTokens: limit, asks: way };
}

/**
 * @param {AnthropicRequest} request
 * @param {ReadonlySet<Refusable>} refused
 * @param {boolean} thinks
 */
function samplingMembers({ temperature, body = {} }, refused, thinks) {
  const { top_p: topP, top_k: topK } = body;
  return {
    // With thinking the API accepts only temperature 1.
    ...(temperature !== undefined &&
      !thinks &&
      !refused.has('temperature') && { temperature: Math.min(temperature, 1) }),
    ...(topP !== undefined && topP !== null && !refused.has('top_p') && { top_p: topP }),
    ...(topK !== undefined && topK !== null && !thinks && !refused.has('top_k') && { top_k: topK }),
  };
}

/** @param {Record<string, any>} body @returns {Record<string, any>} members that the API may support */
function passedMembers(body) {
  const { top_p: _p, top_k: _k, ...rest } = body;
  const members = Object.entries(rest).filter(
    ([name, value]) => !CHAT_ONLY.has(name) && value !== null && value !== undefined,
  );
  const user = body.user ?? body.metadata?.user_id;
  return {
    ...Object.fromEntries(members),
    ...(typeof user === 'string' && { metadata: { user_id: user } }),
    ...(['auto', 'standard_only'].includes(body.service_tier) && {
      service_tier: body.service_tier,
    }),
  };
}

/** @param {import('./messages.js').Block[]} blocks */
function systemMember(blocks) {
  if (blocks.length === 0) return {};
  const isPlain = blocks.every(
    (block) => block.cache_control === undefined && block.type === 'text',
  );
  return { system: isPlain ? blocks.map(({ text }) => text).join('\n\n') : blocks };
}

/**
 * A request in the format of the API, after the earlier messages of its conversation.
 * @param {Record<string, any>} request
 * @param {readonly import('./messages.js').ChatMessage[]} history
 * @returns {Record<string, any>}
 */
function continued(request, history) {
  if (history.length === 0) return request;
  const earlier = toAnthropicMessages(history);
  const { system = [], messages } = request;
  const own = typeof system === 'string' ? [{ type: 'text', text: system }] : system;
  return {
    ...request,
    ...systemMember([...earlier.system, ...own]),
    messages: [...earlier.messages, ...messages],
  };
}

/**
 * The members of a call that a server may refuse.
 * @param {AnthropicRequest} request
 * @param {ReadonlySet<Refusable>} [refused]
 * @returns {{body: Record<string, any>, asks?: 'budget' | 'adaptive'}} `asks`: the way in which the
 *   gateway requested thinking
 * @throws {import('../shared/errors.js').ProviderError} for a request that the API cannot express
 */
export function messagesBody(request, refused = new Set()) {
  const { prompt = '', messages, history = [], model, maxTokens } = request;
  const { stop = [], n = 1, body = {} } = request;
  const named = model && model !== UNNAMED_MODEL ? { model } : {};
  if (typeof body.anthropic === 'object' && body.anthropic !== null) {
    // A request in the format of the API.
    const { max_tokens: given = MAX_TOKENS_DEFAULT } = body.anthropic;
    const asked = continued(body.anthropic, history);
    return { body: { ...asked, ...named, max_tokens: maxTokens ?? given, stream: true } };
  }
  if (n > 1) {
    const message = 'An upstream of the dialect anthropic gives one answer to a request (n)';
    throw requestRefusal(message, { code: 'unsupported_feature', param: 'n', elsewhere: true });
  }
  const converted = toAnthropicMessages(messages ?? [{ role: 'user', content: prompt }]);
  const {
    members: thinking,
    maxTokens: limit,
    asks,
  } = thinkingMembers(request, converted.messages, refused);
  const { members: output, instruction } = outputMembers(body.response_format);
  const system = [
    ...converted.system,
    ...(instruction ? [{ type: 'text', text: instruction }] : []),
  ];
  const passed = passedMembers(body);
  const config = { ...thinking.output_config, ...output.output_config, ...passed.output_config };
  const stops = stop.filter((text) => text.trim() !== '');
  return {
    body: {
      ...passed,
      ...named,
      max_tokens: limit,
      ...systemMember(system),
      messages: converted.messages,
      ...toolMembers(body),
      ...(thinking.thinking && { thinking: thinking.thinking }),
      ...(Object.keys(config).length > 0 && { output_config: config }),
      // The API refuses sequences of white space; the gateway itself searches for all of them.
      ...(stops.length > 0 && { stop_sequences: stops }),
      ...samplingMembers(request, refused, asks !== undefined || body.thinking?.type === 'enabled'),
      stream: true,
    },
    asks,
  };
}

/** Patterns in refusals for the members that the gateway may omit. @type {Record<Refusable, RegExp>} */
const NAMED = {
  temperature: /\btemperature\b/,
  top_p: /\btop_p\b/,
  top_k: /\btop_k\b/,
  budget: /\bthinking\b|\bbudget_tokens\b/,
  adaptive: /\bthinking\b|\badaptive\b|\beffort\b|\boutput_config\b/,
};

/** Refusals that apply to every call of the model. */
const LASTING =
  /not (?:supported|permitted|allowed|available)|unsupported|deprecated|extra inputs|unknown|unrecogni/i;

/**
 * @param {string} refusal the text of a 400
 * @param {{body: Record<string, any>, asks?: 'budget' | 'adaptive'}} sent
 * @returns {{member: Refusable, lasts: boolean} | undefined} the member to omit; `lasts`: for every
 *   later call of the model, too
 */
export function refusedMemberOf(refusal, { body, asks }) {
  if (refusal === '') return undefined;
  const sent = /** @type {Refusable[]} */ (['temperature', 'top_p', 'top_k']).filter(
    (member) => member in body,
  );
  const candidates = asks === undefined ? sent : [asks, ...sent];
  const member = candidates.find((one) => NAMED[one].test(refusal));
  return member && { member, lasts: LASTING.test(refusal) };
}
