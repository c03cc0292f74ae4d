/**
 * Attributes by the OpenTelemetry semantic conventions for generative AI, of status Development. Pure
 * functions.
 */
import { UNNAMED_MODEL } from '../../providers/shared/types.js';
import { tokenLimitOf } from '../../jobs/checked-request.js';

/** @typedef {import('@opentelemetry/api').Attributes} Attributes */
/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../jobs/checked-request.js').CheckedRequest} CheckedRequest */

/** Vendors by the host of their API; for other hosts the name of the API dialect is used. */
const VENDORS = /** @type {const} */ ([
  [/(^|\.)openai\.azure\.com$/, 'azure.ai.openai'],
  [/(^|\.)services\.ai\.azure\.com$/, 'azure.ai.inference'],
  [/^generativelanguage\.googleapis\.com$/, 'gcp.gemini'],
  [/(^|-)aiplatform\.googleapis\.com$/, 'gcp.vertex_ai'],
  [/^bedrock[\w-]*\..*\.amazonaws\.com$/, 'aws.bedrock'],
  [/^api\.deepseek\.com$/, 'deepseek'],
  [/^api\.groq\.com$/, 'groq'],
  [/^api\.mistral\.ai$/, 'mistral_ai'],
  [/^api\.x\.ai$/, 'x_ai'],
  [/^api\.perplexity\.ai$/, 'perplexity'],
  [/^api\.moonshot\.(ai|cn)$/, 'moonshot_ai'],
  [/^api\.cohere\.(ai|com)$/, 'cohere'],
]);

/**
 * @param {string} name of a provider, such as `openai`
 * @param {string} [host] of its upstream
 * @returns {string} value of `gen_ai.provider.name`
 */
function providerName(name, host = '') {
  return VENDORS.find(([pattern]) => pattern.test(host))?.[1] ?? name;
}

/**
 * @param {import('../../providers/shared/types.js').Provider} provider
 * @returns {string} value of `gen_ai.operation.name`
 */
export function operationOf({ operation = 'chat' }) {
  return operation;
}

/** @param {string} model @returns {Attributes} empty for the upstream's default, whose name is unknown */
export function modelAttribute(model) {
  return model === UNNAMED_MODEL ? {} : { 'gen_ai.request.model': model };
}

/**
 * Attributes that spans and metrics of one call share.
 * @param {object} call
 * @param {string} call.operation
 * @param {string} call.provider its name
 * @param {string} call.model
 * @param {string} [call.url] of an upstream
 * @returns {Attributes}
 */
export function callAttributes({ operation, provider, model, url }) {
  const { hostname, port, protocol } = url === undefined ? {} : new URL(url);
  const host = hostname?.replace(/^\[|\]$/g, '');
  return {
    'gen_ai.operation.name': operation,
    'gen_ai.provider.name': providerName(provider, host),
    ...modelAttribute(model),
    ...(host !== undefined && {
      'server.address': host,
      'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
    }),
  };
}

/** Members of a request that go to the upstream, and their attributes, by type. */
const PASSED = /** @type {const} */ ([
  ['top_p', 'gen_ai.request.top_p', 'number'],
  ['top_k', 'gen_ai.request.top_k', 'number'],
  ['seed', 'gen_ai.request.seed', 'number'],
  ['frequency_penalty', 'gen_ai.request.frequency_penalty', 'number'],
  ['presence_penalty', 'gen_ai.request.presence_penalty', 'number'],
]);

/**
 * @param {JobRecord} record that has not ended
 * @returns {Attributes} attributes of its request
 */
export function requestAttributes({ request, extra }) {
  const { temperature, stop, n = 1, passed = {} } = /** @type {CheckedRequest} */ (request ?? {});
  const tokensMax = request && tokenLimitOf(request);
  const stops = [stop ?? []].flat();
  const conversation = extra?.conversation_id;
  /** @type {Attributes} */
  const attributes = {
    ...(tokensMax !== undefined && { 'gen_ai.request.max_tokens': tokensMax }),
    ...(temperature !== undefined && { 'gen_ai.request.temperature': temperature }),
    ...(stops.length > 0 && { 'gen_ai.request.stop_sequences': stops }),
    ...(n > 1 && { 'gen_ai.request.choice.count': n }),
    ...(typeof conversation === 'string' && { 'gen_ai.conversation.id': conversation }),
  };
  for (const [name, attribute, type] of PASSED) {
    const value = passed[name];
    if (typeof value === type) attributes[attribute] = /** @type {number} */ (value);
  }
  const format = /** @type {any} */ (passed.response_format)?.type;
  if (/^json/.test(format)) attributes['gen_ai.output.type'] = 'json';
  return attributes;
}

/**
 * @param {any} state final state of a job
 * @returns {Attributes} attributes of its answer
 */
export function answerAttributes({ status, reason, usage = {} }) {
  const details = { ...usage.prompt_tokens_details, ...usage.completion_tokens_details };
  const { cached_tokens: cached, reasoning_tokens: reasoning } = details;
  return {
    'gen_ai.usage.input_tokens': usage.prompt_tokens,
    'gen_ai.usage.output_tokens': usage.completion_tokens,
    ...(Number.isInteger(cached) && { 'gen_ai.usage.cache_read.input_tokens': cached }),
    ...(Number.isInteger(reasoning) && { 'gen_ai.usage.reasoning.output_tokens': reasoning }),
    ...(status === 'completed' && { 'gen_ai.response.finish_reasons': [reason] }),
  };
}

/**
 * @param {any} content of a message
 * @returns {object[]} parts of the conventions
 */
function partsOf(content) {
  if (typeof content === 'string') return [{ type: 'text', content }];
  if (!Array.isArray(content)) return [];
  return content.map((part) =>
    part?.type === 'text' ? { type: 'text', content: part.text } : { ...part },
  );
}

/** @param {string} json @returns {unknown} the text itself if it is not JSON */
function parsed(json) {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}

/** @param {any} call of a tool, as OpenAI's API has it */
function callPart({ id, function: called }) {
  return { type: 'tool_call', id, name: called?.name, arguments: parsed(called?.arguments) };
}

/** @param {import('../../providers/shared/messages.js').ChatMessage} message */
function inputMessage(message) {
  const { role, content, tool_calls: calls = [], tool_call_id: id } = /** @type {any} */ (message);
  if (role === 'tool') {
    return { role, parts: [{ type: 'tool_call_response', id, response: content }] };
  }
  return { role, parts: [...partsOf(content), ...(calls ?? []).map(callPart)] };
}

/**
 * Content of a request: only if the application enables it.
 * @param {CheckedRequest | undefined} request
 * @returns {Attributes}
 */
export function inputContent(request) {
  const { prompt, messages, passed } = request ?? {};
  const asked = messages ?? (prompt === undefined ? [] : [{ role: 'user', content: prompt }]);
  const tools = passed?.tools;
  return {
    'gen_ai.input.messages': JSON.stringify(asked.map(inputMessage)),
    ...(Array.isArray(tools) && { 'gen_ai.tool.definitions': JSON.stringify(tools) }),
  };
}

/** Names of the conventions. @type {Record<string, string>} */
const ENDINGS = { failed: 'error' };
/** @type {Record<string, string>} */
const REASONS = { tool_calls: 'tool_call' };

/**
 * Content of an answer: only if the application enables it.
 * @param {any} state of a job, with its text
 * @returns {Attributes}
 */
export function outputContent({
  text,
  reasoning,
  refusal,
  tool_calls: calls = [],
  reason,
  status,
}) {
  const parts = [
    ...(reasoning ? [{ type: 'reasoning', content: reasoning }] : []),
    ...(text ? [{ type: 'text', content: text }] : []),
    ...(refusal ? [{ type: 'refusal', content: refusal }] : []),
    ...calls.map(callPart),
  ];
  const finish = status === 'completed' ? reason : (ENDINGS[status] ?? status);
  const message = { role: 'assistant', parts, finish_reason: REASONS[finish] ?? finish };
  return { 'gen_ai.output.messages': JSON.stringify([message]) };
}
