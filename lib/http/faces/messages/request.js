/** Converts requests of Anthropic's Messages API to chat requests. Pure functions. */
import { badRequest } from '../../../internal/util/http-error.js';
import { checkBody } from '../chat/request.js';
import { schemaCheck } from '../../../internal/util/request-schema.js';
import { stringifyExact } from '../../../internal/util/exact-json.js';

/** @typedef {Record<string, any>} Block of the content of a message */
/** @typedef {Record<string, any>} Message of chat completions */

/**
 * @typedef {object} MessagesRequest
 * @property {Record<string, any>} request the members that the gateway interprets
 * @property {Record<string, unknown>} passed members of a chat request; `anthropic`: the body itself,
 *   which replaces all others for an Anthropic upstream; `anthropic_beta`: its header
 * @property {object} [options] of the job, unchecked: the member `sluice`
 * @property {boolean} stream
 */

const text = {
  type: ['string', 'array'],
  items: { type: 'object', required: ['type'], properties: { type: { type: 'string' } } },
};
const properties = {
  model: { type: 'string', minLength: 1, maxLength: 256 },
  messages: {
    type: 'array',
    minItems: 1,
    items: {
      type: 'object',
      required: ['role', 'content'],
      properties: {
        role: { type: 'string', enum: ['user', 'assistant', 'system'] },
        content: text,
      },
    },
  },
  system: text,
  max_tokens: { type: 'integer', minimum: 1 },
  stop_sequences: { type: 'array', items: { type: 'string' } },
  temperature: { type: 'number', minimum: 0, maximum: 1 },
  stream: { type: 'boolean' },
  tools: { type: 'array', items: { type: 'object', required: ['name'] } },
  tool_choice: { type: 'object', required: ['type'] },
  thinking: { type: 'object' },
  output_config: { type: 'object' },
  metadata: { type: 'object', properties: { user_id: { type: ['string', 'null'] } } },
  sluice: { type: 'object' },
};
const checkMessages = schemaCheck({
  type: 'object',
  required: ['model', 'messages', 'max_tokens'],
  properties,
});
const checkCount = schemaCheck({ type: 'object', required: ['model', 'messages'], properties });

/**
 * Members of the API without a counterpart, and members of a chat request made from others. A chat upstream gets
 * all members that are not listed here.
 */
const OWN = new Set([
  ...Object.keys(properties),
  ...[
    'output_format',
    'container',
    'context_management',
    'mcp_servers',
    'service_tier',
    'inference_geo',
  ],
  ...[
    'cache_control',
    'speed',
    'betas',
    'user_profile_id',
    'diagnostics',
    'anthropic',
    'anthropic_beta',
  ],
  ...['prompt', 'n', 'stop', 'user', 'max_completion_tokens', 'stream_options', 'instructions'],
]);

/** @param {Block} source of an image or a document @param {string} at */
function urlOf(source, at) {
  if (source?.type === 'url') return source.url;
  if (source?.type === 'base64') return `data:${source.media_type};base64,${source.data}`;
  if (source?.type === 'text') {
    return `data:text/plain;base64,${Buffer.from(String(source.data)).toString('base64')}`;
  }
  throw badRequest(
    'invalid_value',
    `${at}.source.type`,
    `${at}.source.type must be base64 or url.`,
  );
}

/**
 * Values without a counterpart in the chat format are an error, or are passed on if the upstream has this
 * API and receives the original body.
 * @typedef {object} Reading
 * @property {boolean} isStrict
 * @property {string | string[]} [beta] header of the request
 */

/**
 * @param {Block} block
 * @param {string} at
 * @param {Reading} reading
 * @returns {object} a part of a chat message
 */
function partOf(block, at, reading) {
  switch (block?.type) {
    case 'text':
      return { type: 'text', text: String(block.text ?? '') };
    case 'image':
      return { type: 'image_url', image_url: { url: urlOf(block.source, at) } };
    case 'document':
      return {
        type: 'file',
        file: { ...(block.title && { filename: block.title }), file_data: urlOf(block.source, at) },
      };
    default:
      if (!reading.isStrict && typeof block?.type === 'string') return block;
      throw badRequest('invalid_value', `${at}.type`, `${at}.type is not supported here.`);
  }
}

/**
 * @param {string | Block[]} content
 * @param {string} at
 * @param {Reading} reading
 * @returns {string | object[]} only texts: as one string, because many servers accept no parts
 */
function contentOf(content, at, reading) {
  if (typeof content === 'string') return content;
  const parts = content.map((block, i) => partOf(block, `${at}[${i}]`, reading));
  const isText = parts.every((/** @type {any} */ part) => part.type === 'text');
  return isText ? parts.map((/** @type {any} */ part) => part.text).join('\n') : parts;
}

/**
 * @param {unknown} content the content of a tool's result; may be absent
 * @param {string} at
 * @param {Reading} reading
 */
function resultOf(content, at, reading) {
  if (content === undefined || content === null) return '';
  if (typeof content === 'string' || Array.isArray(content)) return contentOf(content, at, reading);
  throw badRequest('invalid_type', at, `${at} must be a string or an array.`);
}

/**
 * Results of tools come before the user's texts.
 * @param {string | Block[]} content
 * @param {string} at
 * @param {Reading} reading
 * @returns {Message[]}
 */
function userMessages(content, at, reading) {
  if (typeof content === 'string') return [{ role: 'user', content }];
  const others = content.filter(({ type }) => type !== 'tool_result');
  const tools = content.flatMap(({ type, tool_use_id: id, content: result }, i) =>
    type === 'tool_result'
      ? [
          {
            role: 'tool',
            tool_call_id: id,
            content: resultOf(result, `${at}[${i}].content`, reading),
          },
        ]
      : [],
  );
  if (others.length === 0 && tools.length > 0) return tools;
  return [...tools, { role: 'user', content: contentOf(others, at, reading) }];
}

/**
 * @param {string | Block[]} content
 * @returns {Message[]}
 */
function assistantMessages(content) {
  if (typeof content === 'string') return [{ role: 'assistant', content }];
  const texts = content.filter(({ type }) => type === 'text').map((block) => block.text);
  const calls = content
    .filter(({ type }) => type === 'tool_use')
    .map(({ id, name, input }) => ({
      id,
      type: 'function',
      function: { name, arguments: stringifyExact(input ?? {}) },
    }));
  if (texts.length === 0 && calls.length === 0) return [];
  return [
    {
      role: 'assistant',
      content: texts.length === 0 ? null : texts.join(''),
      ...(calls.length > 0 && { tool_calls: calls }),
    },
  ];
}

/**
 * The instructions of a request. A conversation does not store them: each turn has its own.
 * @param {Record<string, any>} body
 * @param {Reading} reading
 * @returns {{first: Message[], members: {instructions?: string}}}
 */
function systemOf({ system, sluice }, reading) {
  if (system === undefined) return { first: [], members: {} };
  const content = contentOf(system, 'system', reading);
  if (sluice?.conversation_id === undefined || typeof content !== 'string') {
    return { first: [{ role: 'system', content }], members: {} };
  }
  return { first: [], members: { instructions: content } };
}

/** @param {Record<string, any>} body @param {Reading} reading @returns {Message[]} */
function chatMessages({ messages }, reading) {
  return messages.flatMap((/** @type {any} */ { role, content }, /** @type {number} */ i) => {
    const at = `messages[${i}].content`;
    if (role === 'assistant') return assistantMessages(content);
    if (role === 'system') return [{ role, content: contentOf(content, at, reading) }];
    return userMessages(content, at, reading);
  });
}

/** @param {Record<string, any>} tool @param {number} i @param {Reading} reading */
function chatTool(tool, i, { isStrict }) {
  const { type, name, description, input_schema: parameters, strict } = tool;
  if (type != null && type !== 'custom') {
    if (!isStrict) return tool;
    const param = `tools[${i}].type`;
    throw badRequest(
      'unsupported_tool',
      param,
      `${param} must be custom: no other tool runs here.`,
    );
  }
  const more = { ...(description && { description }), ...(strict === true && { strict }) };
  return { type: 'function', function: { name, ...more, parameters } };
}

/** @type {Record<string, unknown>} */
const CHOICES = { auto: 'auto', any: 'required', none: 'none' };

/** @param {Record<string, any>} choice */
function chatToolChoice({ type, name }) {
  if (type === 'tool') return { type: 'function', function: { name } };
  if (Object.hasOwn(CHOICES, type)) return CHOICES[type];
  const param = 'tool_choice.type';
  throw badRequest('invalid_value', param, `${param} must be one of auto, any, tool, none.`);
}

/** Lower bounds of the thinking budgets for each effort. */
const MEDIUM_FROM = 4096;
const HIGH_FROM = 16_384;

/** @param {Record<string, any>} body */
function effortOf({ thinking, output_config: output }) {
  if (typeof output?.effort === 'string') return output.effort;
  if (thinking?.type !== 'enabled') return undefined;
  const { budget_tokens: budget = MEDIUM_FROM } = thinking;
  if (budget < MEDIUM_FROM) return 'low';
  return budget < HIGH_FROM ? 'medium' : 'high';
}

/** @param {Record<string, any>} body @returns {Record<string, any>} */
function formatMembers({ output_config: output, output_format: older }) {
  const format = output?.format ?? older;
  if (format?.type !== 'json_schema') return {};
  const { schema } = format;
  return {
    response_format: {
      type: 'json_schema',
      json_schema: { name: 'answer', schema, strict: true },
    },
  };
}

/**
 * @param {unknown} body of `POST /v1/messages`
 * @param {Reading} reading
 * @returns {MessagesRequest}
 * @throws {import('../../../internal/util/http-error.js').HttpError} 400, naming the member
 */
export function readMessagesRequest(body, reading) {
  const checked = checkBody(checkMessages, body);
  const { sluice: options, stream, ...anthropic } = checked;
  const { tools, tool_choice: choice, stop_sequences: stop, metadata } = checked;
  const effort = effortOf(checked);
  const beta = reading.beta === undefined ? undefined : String(reading.beta);
  const { first, members } = systemOf(checked, reading);
  return {
    request: {
      model: checked.model,
      messages: [...first, ...chatMessages(checked, reading)],
      ...members,
      max_tokens: checked.max_tokens,
      temperature: checked.temperature,
      ...(stop?.length > 0 && { stop }),
      user: metadata?.user_id ?? undefined,
    },
    passed: {
      ...Object.fromEntries(Object.entries(checked).filter(([name]) => !OWN.has(name))),
      ...(tools?.length > 0 && {
        tools: tools.map((/** @type {any} */ tool, /** @type {number} */ i) =>
          chatTool(tool, i, reading),
        ),
      }),
      ...(choice !== undefined && { tool_choice: chatToolChoice(choice) }),
      ...(choice?.disable_parallel_tool_use === true && { parallel_tool_calls: false }),
      ...(effort !== undefined && { reasoning_effort: effort }),
      ...formatMembers(checked),
      anthropic,
      ...(beta !== undefined && { anthropic_beta: beta }),
    },
    options,
    stream: stream === true,
  };
}

/**
 * @param {unknown} body of `POST /v1/messages/count_tokens`
 * @returns {{messages: Message[], tools: unknown}}
 * @throws {import('../../../internal/util/http-error.js').HttpError} 400, naming the member
 */
export function readCountRequest(body) {
  const checked = checkBody(checkCount, body);
  const reading = { isStrict: false };
  const messages = [...systemOf(checked, reading).first, ...chatMessages(checked, reading)];
  return { messages, tools: checked.tools };
}
