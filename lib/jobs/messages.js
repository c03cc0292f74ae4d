/** Schemas and checks of chat messages in requests. */
import { badRequest } from '../internal/util/http-error.js';

/** @typedef {import('../providers/shared/messages.js').ChatMessage} ChatMessage */

const role = {
  enum: ['system', 'developer', 'user', 'assistant', 'tool', 'function'],
  type: 'string',
};

/** Messages of a request in the gateway's own API: unknown members are refused, which reveals typing errors. */
export const messagesSchema = {
  type: 'array',
  minItems: 1,
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['role'],
    properties: {
      role,
      content: {
        type: ['string', 'array', 'null'],
        items: {
          type: 'object',
          required: ['type'],
          properties: { type: { type: 'string', minLength: 1 } },
        },
      },
      name: { type: ['string', 'null'] },
      tool_call_id: { type: 'string' },
      tool_calls: { type: ['array', 'null'], items: { type: 'object' } },
      function_call: { type: ['object', 'null'] },
      refusal: { type: ['string', 'null'] },
      audio: { type: ['object', 'null'] },
      annotations: { type: ['array', 'null'] },
      // Members of compatible servers.
      reasoning: { type: ['string', 'null'] },
      reasoning_content: { type: ['string', 'null'] },
      reasoning_details: { type: ['array', 'null'] },
      thinking_blocks: { type: ['array', 'null'] },
      signature: { type: ['string', 'null'] },
      prefix: { type: 'boolean' },
      partial: { type: 'boolean' },
      cache_control: { type: ['object', 'null'] },
    },
  },
};

/** Messages of a workflow's node, whose content is a template. */
export const templateMessagesSchema = {
  type: 'array',
  minItems: 1,
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['role', 'content'],
    properties: {
      role: { ...role, enum: ['system', 'developer', 'user', 'assistant'] },
      content: { type: 'string' },
    },
  },
};

/** Messages in the format of the chat API: only role and kind of content are checked. */
export const openMessagesSchema = {
  type: 'array',
  minItems: 1,
  items: {
    type: 'object',
    required: ['role'],
    properties: { role, content: { type: ['string', 'array', 'null'] } },
  },
};

/**
 * Checks the contents of messages that passed `messagesSchema`.
 * @param {ChatMessage[]} messages
 * @throws {import('../internal/util/http-error.js').HttpError} 400, naming the field
 */
export function checkMessages(messages) {
  for (const [i, { role: from, content }] of messages.entries()) {
    const param = `messages[${i}].content`;
    const isAbsent = content === undefined || content === null;
    // An assistant message may have only calls.
    if (isAbsent && from === 'assistant') continue;
    if (content === undefined) throw badRequest('missing_field', param, `${param} is required.`);
    if (content === null || content.length === 0) {
      if (content === '') continue;
      throw badRequest('invalid_type', param, `${param} must be a string or an array of parts.`);
    }
    if (typeof content !== 'string') checkTextParts(content, param);
  }
}

/**
 * @param {any[]} parts
 * @param {string} param
 */
function checkTextParts(parts, param) {
  for (const [i, { type, text }] of parts.entries()) {
    if (type !== 'text' || typeof text === 'string') continue;
    const at = `${param}[${i}].text`;
    if (text === undefined) throw badRequest('missing_field', at, `${at} is required.`);
    throw badRequest('invalid_type', at, `${at} must be a string.`);
  }
}
