/** Chat messages: their type, and the text in them. Pure functions. */

/**
 * A part of a message in the chat API: `type` and members by its kind.
 * @typedef {{type: string, [member: string]: unknown}} MessagePart
 */

/**
 * A tool call by an assistant in the chat API.
 * @typedef {{id: string, type: string, [member: string]: unknown}} MessageToolCall
 */

/**
 * A message of the chat API. Other members are kept and passed on unchanged.
 * @typedef {object} ChatMessage
 * @property {'system' | 'developer' | 'user' | 'assistant' | 'tool' | 'function'} role
 * @property {string | MessagePart[] | null} [content] text, or parts of the chat API; absent or null
 *   in an assistant's message that has only calls
 * @property {MessageToolCall[]} [tool_calls] of an assistant
 * @property {string} [tool_call_id] of a tool's result
 * @property {string | null} [refusal] of an assistant
 * @property {string} [name]
 * @property {{thinking_blocks: object[]}} [sluice] of an assistant: data of its answer that the gateway keeps for
 *   an upstream of Anthropic's API, which accepts results of calls only with the signed thinking before them
 */

/** Part types of media. The values name the feature that a provider needs for them. */
const MEDIA = Object.freeze({
  image_url: 'images',
  input_image: 'images',
  image: 'images',
  input_audio: 'audio',
  audio: 'audio',
  file: 'files',
  input_file: 'files',
  document: 'files',
  video_url: 'files',
  input_video: 'files',
  video: 'files',
});

/**
 * @param {unknown} part of a message's content
 * @returns {'images' | 'audio' | 'files' | undefined} undefined: not a medium
 */
export function mediumOf(part) {
  const { type } = /** @type {any} */ (part ?? {});
  return Object.hasOwn(MEDIA, type)
    ? /** @type {any} */ (MEDIA[/** @type {keyof typeof MEDIA} */ (type)])
    : undefined;
}

/**
 * @param {unknown} part
 * @returns {string} empty for a part without text
 */
function textOfPart(part) {
  if (typeof part === 'string') return part;
  const { text, refusal, thinking } = /** @type {any} */ (part ?? {});
  return [text, refusal, thinking].find((value) => typeof value === 'string') ?? '';
}

/**
 * @param {ChatMessage} message
 * @returns {string} the text of its content; parts are joined
 */
export function textOf({ content }) {
  if (typeof content === 'string') return content;
  return Array.isArray(content) ? content.map(textOfPart).join('') : '';
}

/** @param {any} block @returns {boolean} whether Anthropic's API accepts it back */
const isWholeThought = ({ type, thinking, signature, data } = {}) =>
  type === 'redacted_thinking'
    ? typeof data === 'string'
    : type === 'thinking' && typeof thinking === 'string' && typeof signature === 'string';

/**
 * The thinking of an answer of Anthropic's API, which requires it with the results of the answer's calls.
 * @param {readonly {kind: string, text?: string, delta?: any}[]} items of the answer's log
 * @returns {object[]} its blocks; empty if the answer has no signature
 */
function thinkingBlocksOf(items) {
  const deltas = items.filter(({ kind }) => kind === 'extra').map(({ delta }) => delta ?? {});
  const given = deltas.flatMap(({ thinking_blocks: blocks }) => blocks ?? []);
  if (given.length > 0) return given.every(isWholeThought) ? given : [];
  const signature = deltas.map((delta) => delta.signature ?? '').join('');
  const thoughts = items.filter(({ kind }) => kind === 'reasoning').map(({ text }) => text);
  return signature === '' ? [] : [{ type: 'thinking', thinking: thoughts.join(''), signature }];
}

/**
 * Data of an earlier answer that the gateway keeps for its upstream; other upstreams do not receive it.
 * @param {readonly {kind: string, text?: string, delta?: any}[]} items of the answer's log
 * @returns {{sluice?: {thinking_blocks: object[]}}} a member of the assistant's message
 */
export function keptMembers(items) {
  const blocks = thinkingBlocksOf(items);
  return blocks.length > 0 ? { sluice: { thinking_blocks: blocks } } : {};
}

/**
 * @param {ChatMessage} message
 * @returns {ChatMessage} without the gateway's own data
 */
export function withoutKept(message) {
  if (message.sluice === undefined) return message;
  const { sluice: _kept, ...rest } = message;
  return rest;
}
