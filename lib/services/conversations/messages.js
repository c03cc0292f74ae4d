/** Messages of a conversation: as stored, as sent to a provider, as shown. Pure functions. */

import { keptMembers, withoutKept } from '../../providers/shared/messages.js';

/** @typedef {import('../../providers/shared/messages.js').ChatMessage} ChatMessage */

/**
 * Fields that the conversation adds to a message.
 * @typedef {object} MessageFields
 * @property {number} createdAt Unix seconds
 * @property {string} [jobId] the job of its turn; absent in the conversation's initial messages
 * @property {'stop' | 'length' | 'tool_calls' | 'cancelled'} [finishReason] of an answer
 * @property {boolean} [textTruncated] true when the beginning of the answer was dropped
 * @property {string} [reasoning] of an answer; never sent to the model again
 */

/**
 * @typedef {object} MessageContent
 * @property {ChatMessage['role']} role
 * @property {ChatMessage['content']} [content]
 * @property {Record<string, unknown>} [members] the other members of the message, as sent: `tool_calls`,
 *   `tool_call_id`, `name`, ...
 */

/** @typedef {import('../../jobs/checked-request.js').CheckedRequest} CheckedRequest */

/** A message as stored. @typedef {MessageContent & MessageFields} StoredMessage */

/** A message as shown. @typedef {ChatMessage & MessageFields} Message */

/**
 * @param {ChatMessage} message
 * @param {MessageFields} fields
 * @returns {StoredMessage}
 */
export function stored({ role, content, ...members }, fields) {
  return {
    role,
    ...(content !== undefined && { content }),
    ...(Object.keys(members).length > 0 && { members }),
    ...fields,
  };
}

/** @param {StoredMessage} message @returns {ChatMessage} for a provider */
export function sent({ role, content, members }) {
  return { role, ...(content !== undefined && { content }), ...members };
}

/**
 * @param {StoredMessage} message
 * @returns {Message} the message as shown; the conversation's own fields hide members of the same name
 */
export function shown({ members, role, content, ...fields }) {
  const message = { role, ...(content !== undefined && { content }), ...members };
  return { ...withoutKept(message), ...fields };
}

/**
 * A message without the calls that the next messages do not answer: servers refuse a history with them, and a turn of the
 * user may follow them.
 * @param {ChatMessage} message
 * @param {ChatMessage[]} following
 * @returns {ChatMessage[]} empty: there is nothing else in it
 */
function withoutOpenCalls(message, following) {
  const { tool_calls: calls, ...rest } = message;
  if (!Array.isArray(calls)) return [message];
  const end = following.findIndex(({ role }) => role !== 'tool');
  const results = end === -1 ? following : following.slice(0, end);
  const answered = calls.filter(({ id }) => results.some(({ tool_call_id: of }) => of === id));
  if (answered.length === calls.length) return [message];
  if (answered.length > 0) return [{ ...rest, tool_calls: answered }];
  // What is kept for the calls, such as signed thinking, goes with them.
  return rest.content || rest.refusal ? [withoutKept(rest)] : [];
}

/**
 * @param {CheckedRequest} request of a turn
 * @param {StoredMessage[]} history
 * @param {ChatMessage[]} added before the answer
 * @returns {CheckedRequest} for the provider
 */
export function wholeRequest(request, history, added) {
  const {
    conversation_id: _id,
    on_busy: _onBusy,
    prompt: _prompt,
    instructions,
    ...rest
  } = request;
  /** @type {ChatMessage[]} */
  const first = instructions === undefined ? [] : [{ role: 'system', content: instructions }];
  const all = [...history.map(sent), ...added];
  const earlier = all
    .slice(0, history.length)
    .flatMap((message, i) => withoutOpenCalls(message, all.slice(i + 1)));
  return {
    ...rest,
    messages: [...first, ...earlier, ...added],
    history: [first.length, first.length + earlier.length],
  };
}

/** @param {any} call @returns {boolean} whether its arguments are complete JSON */
function isWhole(call) {
  try {
    JSON.parse(call.function.arguments);
    return true;
  } catch {
    return false;
  }
}

/**
 * The answer to store for an ended job.
 * @param {any} state final state from the hub, with the text, and with the items if it has calls
 * @returns {Answer | undefined} undefined: its turn is dropped
 */
export function answerOf({ status, reason, text = '', tool_calls = [], refusal, ...state }) {
  const truncated = state.text_truncated === true && { textTruncated: true };
  const reasoning = state.reasoning && { reasoning: state.reasoning };
  // Clients have read the text sent before a cancel, so it is kept. Calls are not kept, because they would never
  // get results.
  if (status === 'cancelled') {
    return text === ''
      ? undefined
      : { content: text, finishReason: 'cancelled', ...truncated, ...reasoning };
  }
  // A filtered answer does not count as an answer.
  if (status !== 'completed' || reason === 'content_filter') return undefined;
  // The limit may have cut the last call; servers refuse a history with invalid JSON in arguments.
  const calls = reason === 'length' ? tool_calls.filter(isWhole) : tool_calls;
  // Servers refuse a history with an empty assistant message.
  if (text === '' && calls.length === 0 && !refusal) return undefined;
  const members = {
    ...(calls.length > 0 && { tool_calls: calls, ...keptMembers(state.items ?? []) }),
    ...(refusal && { refusal }),
  };
  return {
    content: text === '' ? null : text,
    ...(Object.keys(members).length > 0 && { members }),
    finishReason: ['length', 'tool_calls'].includes(reason) ? reason : 'stop',
    ...truncated,
    ...reasoning,
  };
}

/**
 * The answer of an ended job.
 * @typedef {Omit<StoredMessage, 'role' | 'createdAt' | 'jobId'>} Answer
 */
