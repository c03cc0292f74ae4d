/** Composes whole answers and errors of Anthropic's Messages API. Pure functions. */
import { parseExact } from '../../../internal/util/exact-json.js';

/** @typedef {import('../../../streams/types.js').JobState} JobState */
/** @typedef {import('../../../streams/types.js').AnswerItem} AnswerItem */

/** @type {Record<string, string>} */
const STOP_REASONS = {
  length: 'max_tokens',
  tool_calls: 'tool_use',
  content_filter: 'refusal',
};

/**
 * Stop reasons of an upstream with this API, and the reason of the job for each.
 * @type {Record<string, string>}
 */
const OWN_REASONS = {
  stop_sequence: 'stop',
  pause_turn: 'stop',
  model_context_window_exceeded: 'length',
};

/** @type {Record<number, string>} */
const ERROR_TYPES = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
};

/** @param {string} json @returns {unknown} `{}` for arguments that are not JSON */
function parsed(json) {
  try {
    return parseExact(json);
  } catch {
    return {};
  }
}

/**
 * Adds blocks other than texts and calls from an upstream of the same API: the client needs them in the next turn.
 * @param {any[]} content
 * @param {any} delta
 */
function addExtra(content, { signature, thinking_blocks: thoughts, content_blocks: blocks }) {
  if (typeof signature === 'string') {
    const last = content.at(-1);
    // Thinking may be withheld although its signature is sent.
    if (last?.type === 'thinking' && last.signature === '') last.signature = signature;
    else content.push({ type: 'thinking', thinking: '', signature });
  }
  // The text and the signature of other thinking are items.
  const isRedacted = (/** @type {any} */ thought) => thought?.type === 'redacted_thinking';
  if (Array.isArray(thoughts)) content.push(...thoughts.filter(isRedacted));
  if (Array.isArray(blocks)) content.push(...blocks);
}

/**
 * @param {readonly AnswerItem[]} items in the order of the log
 * @returns {object[]}
 */
function contentOf(items) {
  /** @type {any[]} */
  const content = [];
  for (const item of items) {
    if (item.kind === 'reasoning') {
      content.push({ type: 'thinking', thinking: item.text, signature: '' });
    } else if (item.kind === 'extra') {
      addExtra(content, item.delta ?? {});
    } else if (item.kind === 'tool_call') {
      const { id, name, arguments: given = '{}' } = item;
      content.push({ type: 'tool_use', id, name, input: parsed(given) });
    } else {
      content.push({ type: 'text', text: item.text });
    }
  }
  return content;
}

/** @param {any} usage */
function usageOf({
  prompt_tokens: prompt,
  completion_tokens: output,
  prompt_tokens_details: details,
  cache_creation_input_tokens: written,
}) {
  const read = details?.cached_tokens ?? 0;
  return {
    input_tokens: Math.max(0, prompt - read - (written ?? 0)),
    ...(written > 0 && { cache_creation_input_tokens: written }),
    ...(read > 0 && { cache_read_input_tokens: read }),
    output_tokens: output,
  };
}

/** @param {JobState} state @returns {string} */
function stopReason({ reason = '', raw_reason: raw = '', stop_sequence: sequence }) {
  if (Object.hasOwn(OWN_REASONS, raw) && OWN_REASONS[raw] === reason) return raw;
  if (reason === 'stop' && sequence !== undefined) return 'stop_sequence';
  return STOP_REASONS[reason] ?? 'end_turn';
}

/**
 * @param {{id: string, model: string}} facts `model` as requested; the upstream's name has precedence
 * @param {JobState} state with items
 */
export function messagesAnswer({ id, model }, state) {
  const { items = [], head = {}, stop_sequence: sequence = null, usage } = state;
  return {
    ...{ id, type: 'message', role: 'assistant', model: head.model ?? model },
    content: contentOf(items),
    stop_reason: stopReason(state),
    stop_sequence: sequence,
    usage: usageOf(usage),
  };
}

/**
 * @param {string} [url] of a request
 * @returns {boolean} whether it belongs to Anthropic's API
 */
export const isMessagesPath = (url = '') => /^[^?]*\/v1\/messages(?:[/?]|$)/.test(url);

/**
 * @param {import('../../../internal/util/http-error.js').HttpError} error
 * @param {string} requestId
 * @returns {object} the body of an answer
 */
export function messagesError({ status, message }, requestId) {
  const type = ERROR_TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error');
  return { type: 'error', error: { type, message }, request_id: requestId };
}
