/**
 * Converts between the items of the Responses API and the messages of chat completions. Pure
 * functions.
 */
import { callsOf } from '../chat/answer.js';
import { keptMembers } from '../../../providers/shared/messages.js';
import { badRequest } from '../../../internal/util/http-error.js';

/** @typedef {Record<string, any>} Item of `input` or `output` */
/** @typedef {Record<string, any>} Message of chat completions */

const ROLES = ['system', 'developer', 'user', 'assistant'];

/**
 * @param {string} at
 * @param {string} says
 */
const invalid = (at, says) => badRequest('invalid_value', at, `${at} ${says}.`);

/**
 * @param {any} part
 * @param {string} at
 * @returns {object} a part of a chat message
 */
function partToChat(part, at) {
  switch (part?.type) {
    case 'input_text':
    case 'output_text':
    case 'text':
      if (typeof part.text !== 'string') throw invalid(`${at}.text`, 'must be a string');
      return { type: 'text', text: part.text };
    case 'refusal':
      return { type: 'text', text: String(part.refusal ?? '') };
    case 'input_image': {
      const { image_url: url, detail } = part;
      if (typeof url !== 'string') throw invalid(`${at}.image_url`, 'must be a URL');
      return { type: 'image_url', image_url: { url, ...(detail && { detail }) } };
    }
    case 'input_file': {
      const { type: _type, ...file } = part;
      return { type: 'file', file };
    }
    case 'input_audio':
      return part;
    default:
      throw invalid(`${at}.type`, 'is not a type of content that is supported');
  }
}

/**
 * @param {any} content a text or parts
 * @param {string} at
 * @returns {string | object[]} a single text part as a string, because many servers accept no parts
 */
function contentToChat(content, at) {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw invalid(at, 'must be a string or an array');
  const parts = content.map((part, i) => partToChat(part, `${at}[${i}]`));
  const [only] = /** @type {any[]} */ (parts);
  return parts.length === 1 && only.type === 'text' ? only.text : parts;
}

/** @param {unknown} value @param {string} at @returns {string} */
function text(value, at) {
  if (typeof value !== 'string') throw invalid(at, 'must be a string');
  return value;
}

/**
 * @param {any} output
 * @param {string} at
 */
function toolOutput(output, at) {
  return typeof output === 'string' ? output : contentToChat(output, at);
}

/**
 * Adds one item to messages.
 * @param {Message[]} messages
 * @param {Item} item
 * @param {string} at
 */
function addItem(messages, item, at) {
  const type = item?.type ?? (item?.role === undefined ? undefined : 'message');
  switch (type) {
    case 'message': {
      if (!ROLES.includes(item.role)) {
        throw invalid(`${at}.role`, `must be one of ${ROLES.join(', ')}`);
      }
      messages.push({ role: item.role, content: contentToChat(item.content, `${at}.content`) });
      return;
    }
    case 'function_call': {
      const call = {
        id: text(item.call_id, `${at}.call_id`),
        type: 'function',
        function: {
          name: text(item.name, `${at}.name`),
          arguments: text(item.arguments, `${at}.arguments`),
        },
      };
      const last = messages.at(-1);
      if (last?.role === 'assistant') last.tool_calls = [...(last.tool_calls ?? []), call];
      else messages.push({ role: 'assistant', content: null, tool_calls: [call] });
      return;
    }
    case 'function_call_output':
      messages.push({
        role: 'tool',
        tool_call_id: text(item.call_id, `${at}.call_id`),
        content: toolOutput(item.output, `${at}.output`),
      });
      return;
    case 'reasoning':
      return;
    default:
      throw invalid(`${at}.type`, 'is not a type of item that is supported');
  }
}

/**
 * @param {readonly Item[]} items
 * @param {string} [at] the member that contains them
 * @returns {Message[]}
 * @throws {import('../../../internal/util/http-error.js').HttpError} 400, naming the member
 */
export function messagesOf(items, at = 'input') {
  /** @type {Message[]} */
  const messages = [];
  items.forEach((item, i) => addItem(messages, item, `${at}[${i}]`));
  return messages;
}

/** @type {Record<string, string>} */
const ID_PREFIXES = { function_call: 'fc', function_call_output: 'fco', reasoning: 'rs' };

/** @param {Item} item @returns {boolean} its type may be omitted */
export function isReference({ type, role, id }) {
  return type === 'item_reference' || (type == null && role === undefined && id !== undefined);
}

/** @param {string | Item[]} input of a request @returns {Item[]} */
export function itemsOf(input) {
  if (typeof input !== 'string') return input;
  return [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: input }] }];
}

/**
 * @param {Item[]} items of a request
 * @param {string} tail of the response's id
 * @returns {Item[]} each with a type and an id
 */
export function inputItems(items, tail) {
  return items.map((item, i) => ({
    ...item,
    id: item.id ?? `${ID_PREFIXES[item.type] ?? 'msg'}_${tail}_in${i}`,
    type: item.type ?? 'message',
  }));
}

/**
 * The assistant's message of an answer: text and calls; reasoning is not passed back.
 * @param {readonly import('../../../streams/types.js').AnswerItem[]} items of its log
 * @returns {Message[]} empty for an empty answer
 */
export function answerMessages(items) {
  const texts = items.filter((item) => item.kind === 'text' || item.kind === 'refusal');
  const calls = callsOf(items);
  if (texts.length === 0 && calls.length === 0) return [];
  return [
    {
      role: 'assistant',
      content:
        texts.length === 0 ? null : texts.map((item) => 'text' in item && item.text).join(''),
      ...(calls.length > 0 && { tool_calls: calls, ...keptMembers(items) }),
    },
  ];
}
