/** Sizes of requests, estimated without a tokenizer. Pure functions. */
import { mediumOf, textOf } from '../providers/shared/messages.js';

/** @typedef {import('./checked-request.js').CheckedRequest} CheckedRequest */
/** @typedef {import('../providers/shared/messages.js').ChatMessage} ChatMessage */

/** Tokens of one image, audio or file part. */
const TOKENS_PER_MEDIUM = 1000;
const BYTES_PER_TOKEN = 4;

/** Members of a message, besides its content, whose text the model reads. */
const TEXT_MEMBERS = Object.freeze(['refusal', 'reasoning', 'reasoning_content']);

/** @param {unknown} value @returns {number} bytes of a text; 0 for any other value */
const bytesOf = (value) => (typeof value === 'string' ? Buffer.byteLength(value) : 0);

/** @param {any} call of a tool or a function */
function bytesOfCall(call) {
  const { name, arguments: given, input } = call?.function ?? call?.custom ?? call ?? {};
  return bytesOf(name) + bytesOf(given) + bytesOf(input);
}

/** @param {ChatMessage & Record<string, any>} message */
function bytesOfMessage(message) {
  let bytes = Buffer.byteLength(textOf(message));
  for (const name of TEXT_MEMBERS) bytes += bytesOf(message[name]);
  const { tool_calls: calls, function_call: call } = message;
  if (Array.isArray(calls)) for (const each of calls) bytes += bytesOfCall(each);
  return call === undefined || call === null ? bytes : bytes + bytesOfCall(call);
}

/** @param {ChatMessage} message */
function mediaIn({ content }) {
  return Array.isArray(content) ? content.filter((part) => mediumOf(part) !== undefined).length : 0;
}

/** @param {unknown} value value given to the model as JSON */
const bytesAsJson = (value) =>
  value === undefined || value === null ? 0 : Buffer.byteLength(JSON.stringify(value));

/**
 * Estimates the tokens of a prompt, for use before the model reports the actual number.
 * @param {Partial<CheckedRequest>} request
 * @returns {number} a quarter of the bytes of its text, with its tools as JSON, and 1000 for each
 *   image, audio or file part
 */
export function estimatePromptTokens({ prompt, prompt_ids: ids = [], messages = [], passed = {} }) {
  let bytes = Buffer.byteLength(prompt ?? '');
  let media = 0;
  for (const message of messages) {
    bytes += bytesOfMessage(message);
    media += mediaIn(message);
  }
  bytes += bytesAsJson(passed.tools) + bytesAsJson(passed.functions);
  return Math.ceil(bytes / BYTES_PER_TOKEN) + TOKENS_PER_MEDIUM * media + ids.length;
}

/** Bytes of a value besides its strings, in memory. */
const BYTES_PER_VALUE = 16;

/**
 * Bytes of a request in memory, with the body of the upstream call.
 * @param {Partial<CheckedRequest>} [request]
 * @returns {number}
 */
export function requestBytes({ prompt = '', prompt_ids: ids, messages, passed } = {}) {
  let bytes = 2 * prompt.length;
  /** @type {unknown[]} */
  const open = [ids, messages, passed];
  for (let value = open.pop(); open.length > 0 || value !== undefined; value = open.pop()) {
    if (typeof value === 'string') bytes += 2 * value.length;
    else if (typeof value === 'object' && value !== null) {
      for (const [key, child] of Object.entries(value)) {
        bytes += BYTES_PER_VALUE + 2 * key.length;
        open.push(child);
      }
    }
  }
  return bytes;
}
