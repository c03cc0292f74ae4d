/** Converts chat messages to those of Anthropic's Messages API. Pure functions. */
import { requestRefusal } from '../shared/errors.js';
import { isObject } from '../../internal/util/validate.js';
import { parseExact } from '../../internal/util/exact-json.js';

/** @typedef {Record<string, any>} ChatMessage of the chat API */
/** @typedef {Record<string, any>} Block of the content of a message */
/** @typedef {{role: 'user' | 'assistant', content: Block[]}} Turn */

/** Placeholder for a user's turn that the API requires and the caller did not give. */
const PLACEHOLDER = Object.freeze({ type: 'text', text: '.' });

/** @param {string} feature @param {string} param its path in the request */
function unsupported(feature, param) {
  const message = `An upstream of the dialect anthropic does not take ${feature} (${param})`;
  return requestRefusal(message, { code: 'unsupported_feature', param, elsewhere: true });
}

/** @param {any} part @returns {{cache_control?: object}} */
const cacheOf = (part) => (part?.cache_control ? { cache_control: part.cache_control } : {});

/** The API accepts only these characters in the id of a call. @param {unknown} id */
const callId = (id) => String(id ?? '').replace(/[^\w-]/g, '_') || 'call';

/**
 * @param {string} url
 * @returns {{mediaType: string, data: string, isBase64: boolean} | undefined} undefined: not a data URL
 */
function readDataUrl(url) {
  const found = /^data:([^;,]*)((?:;[^;,]*)*),/i.exec(url);
  if (found === null) return undefined;
  const [head, mediaType, parameters] = found;
  return {
    mediaType: mediaType || 'text/plain',
    data: url.slice(head.length),
    isBase64: /;base64$/i.test(parameters),
  };
}

/** @param {string} url @returns {Block} the source of an image or a document */
function sourceOf(url) {
  const data = readDataUrl(url);
  if (data === undefined) return { type: 'url', url };
  const { mediaType, isBase64 } = data;
  if (mediaType.startsWith('text/')) {
    const text = isBase64
      ? Buffer.from(data.data, 'base64').toString('utf8')
      : decodeURIComponent(data.data);
    return { type: 'text', media_type: 'text/plain', data: text };
  }
  const base64 = isBase64
    ? data.data
    : Buffer.from(decodeURIComponent(data.data)).toString('base64');
  return { type: 'base64', media_type: mediaType, data: base64 };
}

/** @param {any} part of the type `file` @param {string} at @returns {Block} */
function documentOf(part, at) {
  const { file_data: data, file_id: id, file_url: url, filename: title } = part.file ?? part;
  const named = { ...(title && { title }), ...cacheOf(part) };
  if (typeof id === 'string') return { type: 'document', source: { type: 'file', file_id: id } };
  const text = data ?? url;
  if (typeof text !== 'string') throw unsupported('a file without data', at);
  // Some clients send only the base64 text.
  const source =
    readDataUrl(text) || /^https?:/.test(text) ? text : `data:application/pdf;base64,${text}`;
  return { type: 'document', source: sourceOf(source), ...named };
}

/**
 * @param {any} part
 * @param {string} at
 * @returns {Block | undefined} undefined: an empty text, which the API refuses
 */
function blockOf(part, at) {
  const { type } = part ?? {};
  switch (type) {
    case 'text':
    case 'input_text':
    case 'output_text': {
      const { text, citations } = part;
      if (typeof text !== 'string' || text === '') return undefined;
      return { type: 'text', text, ...(citations && { citations }), ...cacheOf(part) };
    }
    case 'refusal':
      return part.refusal ? { type: 'text', text: part.refusal } : undefined;
    case 'image_url':
    case 'input_image': {
      const { image_url: image } = part;
      const url = typeof image === 'string' ? image : image?.url;
      if (typeof url !== 'string') throw unsupported('an image without a URL', at);
      return { type: 'image', source: sourceOf(url), ...cacheOf(part) };
    }
    case 'file':
    case 'input_file':
      return documentOf(part, at);
    case 'input_audio':
    case 'audio':
    case 'video_url':
    case 'input_video':
      throw unsupported(type, at);
    default:
      // A block of the API itself: `image`, `document`, `thinking`, `search_result`, ...
      if (typeof type === 'string') return part;
      throw unsupported('this part', at);
  }
}

/**
 * @param {unknown} content text, parts, or nothing
 * @param {string} at
 * @returns {Block[]}
 */
function blocksOf(content, at) {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }];
  if (!Array.isArray(content)) return [];
  return content
    .map((part, i) =>
      typeof part === 'string' ? blocksOf(part, at)[0] : blockOf(part, `${at}[${i}]`),
    )
    .filter((block) => block !== undefined);
}

/**
 * The thinking of an earlier answer. The API refuses it without its signature.
 * @param {ChatMessage} message
 * @returns {Block[]}
 */
function thinkingOf(message) {
  const { thinking_blocks: own, reasoning_content: content, reasoning, signature } = message;
  const blocks = own ?? message.sluice?.thinking_blocks;
  if (Array.isArray(blocks)) return blocks;
  const thinking = content ?? reasoning;
  if (typeof signature !== 'string' || typeof thinking !== 'string') return [];
  return [{ type: 'thinking', thinking, signature }];
}

/** @param {unknown} json @returns {object} */
function inputOf(json) {
  if (typeof json === 'object' && json !== null) return json;
  const text = String(json ?? '');
  try {
    const value = text.trim() === '' ? {} : parseExact(text);
    if (isObject(value)) return value;
  } catch {
    // A model may have written invalid JSON: the next turn passes it to the model unchanged.
  }
  return { input: text };
}

/** @param {ChatMessage} message @param {string} at @returns {Block[]} */
function assistantBlocks(message, at) {
  const { content, refusal, tool_calls: calls = [], function_call: call } = message;
  const texts = blocksOf(content, `${at}.content`);
  const refused = typeof refusal === 'string' ? blocksOf(refusal, at) : [];
  const all = [...(calls ?? []), ...(call ? [{ id: `call_${call.name}`, function: call }] : [])];
  const uses = all.map(({ id, function: called, ...rest }) => ({
    type: 'tool_use',
    id: callId(id),
    name: called?.name ?? '',
    input: inputOf(called?.arguments),
    ...cacheOf(rest),
  }));
  return [...thinkingOf(message), ...texts, ...refused, ...uses];
}

/** @param {ChatMessage} message of a tool @param {string} at @returns {Block} */
function resultBlock(message, at) {
  const { role, tool_call_id: id, name, content } = message;
  const blocks = blocksOf(content, `${at}.content`);
  return {
    type: 'tool_result',
    tool_use_id: callId(role === 'function' ? `call_${name}` : id),
    ...(blocks.length > 0 && { content: typeof content === 'string' ? content : blocks }),
    ...(message.is_error === true && { is_error: true }),
    ...cacheOf(message),
  };
}

/** @param {ChatMessage} message @param {string} at @returns {Turn} */
function turnOf(message, at) {
  const { role, content } = message;
  if (role === 'assistant') return { role, content: assistantBlocks(message, at) };
  if (role === 'tool' || role === 'function') {
    return { role: 'user', content: [resultBlock(message, at)] };
  }
  return { role: 'user', content: blocksOf(content, `${at}.content`) };
}

/** @param {Turn[]} turns @returns {Turn[]} alternating, the user's first */
function alternate(turns) {
  /** @type {Turn[]} */
  const merged = [];
  for (const turn of turns) {
    if (turn.content.length === 0) continue;
    const last = merged.at(-1);
    if (last?.role === turn.role) last.content.push(...turn.content);
    else merged.push({ role: turn.role, content: [...turn.content] });
  }
  if (merged[0]?.role !== 'user') merged.unshift({ role: 'user', content: [PLACEHOLDER] });
  return merged;
}

/**
 * The API refuses a prefilled answer that ends with white space.
 * @param {Turn[]} turns
 */
function trimEnd(turns) {
  const { role, content } = /** @type {Turn} */ (turns.at(-1));
  const last = /** @type {Block} */ (content.at(-1));
  if (role !== 'assistant' || last.type !== 'text') return turns;
  const text = last.text.trimEnd();
  const rest = [...content.slice(0, -1), ...(text === '' ? [] : [{ ...last, text }])];
  return rest.length === 0 ? turns.slice(0, -1) : [...turns.slice(0, -1), { role, content: rest }];
}

/** Puts the results of a turn before its other blocks. @param {Turn} turn @returns {Turn} */
function resultsFirst({ role, content }) {
  const isResult = (/** @type {Block} */ { type }) => type === 'tool_result';
  if (role !== 'user' || !content.some(isResult)) return { role, content };
  return {
    role,
    content: [...content.filter(isResult), ...content.filter((block) => !isResult(block))],
  };
}

/**
 * @param {readonly ChatMessage[]} messages
 * @returns {{system: Block[], messages: Turn[]}} the system's text separately, from any position
 * @throws {import('../shared/errors.js').ProviderError} for a part without a corresponding block in the API
 */
export function toAnthropicMessages(messages) {
  /** @type {Block[]} */
  const system = [];
  /** @type {Turn[]} */
  const turns = [];
  for (const [i, message] of messages.entries()) {
    const at = `messages[${i}]`;
    if (message.role === 'system' || message.role === 'developer') {
      system.push(...blocksOf(message.content, `${at}.content`));
    } else turns.push(turnOf(message, at));
  }
  return { system, messages: trimEnd(alternate(turns)).map(resultsFirst) };
}

/**
 * @param {readonly Turn[]} turns
 * @returns {boolean} whether the model continues after results of calls that it made without thinking
 */
export function resumesWithoutThinking(turns) {
  const last = turns.at(-1);
  const before = turns.at(-2);
  if (!last?.content.some(({ type }) => type === 'tool_result')) return false;
  return !['thinking', 'redacted_thinking'].includes(before?.content[0]?.type);
}
