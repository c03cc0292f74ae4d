/** Converts the messages of the AI SDK's `useChat` to chat messages. Pure functions. */
import { badRequest } from '../../../internal/util/http-error.js';
import { checkBody, divide } from '../chat/request.js';
import { schemaCheck } from '../../../internal/util/request-schema.js';
import { stringifyExact } from '../../../internal/util/exact-json.js';

/** @typedef {Record<string, any>} Part of a UIMessage */
/** @typedef {Record<string, any>} Message of chat completions */

/**
 * @typedef {object} UiRequest
 * @property {string} chat id of the chat
 * @property {string | undefined} messageId of the assistant's message that the answer continues
 * @property {Part[] | undefined} earlier the present parts of this message
 * @property {Record<string, any>} request the members that the gateway interprets
 * @property {Record<string, unknown>} passed
 * @property {object} [options] of the job, unchecked: the member `sluice`
 */

const check = schemaCheck({
  type: 'object',
  required: ['id', 'messages'],
  properties: {
    id: { type: 'string', minLength: 1, maxLength: 1024 },
    messages: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        required: ['role', 'parts'],
        properties: {
          id: { type: 'string' },
          role: { type: 'string', enum: ['system', 'user', 'assistant'] },
          parts: {
            type: 'array',
            items: { type: 'object', required: ['type'], properties: { type: { type: 'string' } } },
          },
        },
      },
    },
    sluice: { type: 'object' },
  },
});

/** @param {Part[]} parts @returns {string} */
function textOf(parts) {
  return parts
    .filter(({ type }) => type === 'text')
    .map(({ text }) => String(text ?? ''))
    .join('');
}

/**
 * @param {Part} part
 * @param {string} at
 * @returns {object[]} empty for a part that is not sent to the model
 */
function userPart(part, at) {
  if (part.type === 'text') return [{ type: 'text', text: String(part.text ?? '') }];
  if (part.type !== 'file') return [];
  const { mediaType = '', url, filename } = part;
  if (typeof url !== 'string') {
    throw badRequest('invalid_type', `${at}.url`, `${at}.url must be a URL.`);
  }
  if (String(mediaType).startsWith('image/')) return [{ type: 'image_url', image_url: { url } }];
  return [{ type: 'file', file: { ...(filename && { filename }), file_data: url } }];
}

/**
 * @param {Part} part
 * @returns {{call: object, result: Message} | undefined} undefined: not a tool part, or without an output
 */
function toolOf({ type, toolName, toolCallId, state, input, rawInput, output, errorText }) {
  const name = type === 'dynamic-tool' ? toolName : /^tool-(.+)$/s.exec(type)?.[1];
  if (name === undefined || (state !== 'output-available' && state !== 'output-error')) {
    return undefined;
  }
  const given = stringifyExact(input ?? rawInput ?? {});
  const content = state === 'output-error' ? errorText : output;
  return {
    call: { id: toolCallId, type: 'function', function: { name, arguments: given } },
    result: {
      role: 'tool',
      tool_call_id: toolCallId,
      content: typeof content === 'string' ? content : stringifyExact(content ?? null),
    },
  };
}

/**
 * One step of the assistant: its text and calls, then the results.
 * @param {Part[]} parts
 * @returns {Message[]}
 */
function stepMessages(parts) {
  const text = textOf(parts);
  const tools = parts.map(toolOf).filter((tool) => tool !== undefined);
  if (text === '' && tools.length === 0) return [];
  return [
    {
      role: 'assistant',
      content: text === '' ? null : text,
      ...(tools.length > 0 && { tool_calls: tools.map(({ call }) => call) }),
    },
    ...tools.map(({ result }) => result),
  ];
}

/** @param {Part[]} parts */
function assistantMessages(parts) {
  /** @type {Part[][]} */
  const steps = [[]];
  for (const part of parts) {
    if (part.type === 'step-start') steps.push([]);
    else steps.at(-1)?.push(part);
  }
  return steps.flatMap(stepMessages);
}

/**
 * @param {{role: string, parts: Part[]}} message
 * @param {number} i
 * @returns {Message[]}
 */
function messagesOf({ role, parts }, i) {
  if (role === 'assistant') return assistantMessages(parts);
  if (role === 'system') return [{ role, content: textOf(parts) }];
  const all = parts.flatMap((part, k) => userPart(part, `messages[${i}].parts[${k}]`));
  if (all.length === 0) return [{ role, content: '' }];
  const only = /** @type {any} */ (all[0]);
  const isText = all.length === 1 && only.type === 'text';
  return [{ role, content: isText ? only.text : all }];
}

/**
 * @param {unknown} body of `POST /v1/ui/chat`
 * @returns {UiRequest}
 * @throws {import('../../../internal/util/http-error.js').HttpError} 400, naming the member
 */
export function readUiRequest(body) {
  const { id, trigger: _trigger, messageId: _id, ...rest } = checkBody(check, body);
  const last = rest.messages.at(-1);
  const messages = rest.messages.flatMap(messagesOf);
  const { request, passed, options } = divide({ ...rest, messages });
  const continues = last.role === 'assistant';
  return {
    chat: id,
    messageId: continues ? last.id : undefined,
    earlier: continues ? last.parts : undefined,
    ...{ request, passed, options },
  };
}
