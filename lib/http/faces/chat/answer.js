/** Composes whole answers of the chat and completion endpoints from the items of logs. Pure functions. */
import { ExactNumber } from '../../../internal/util/exact-json.js';

/** @typedef {import('../../../streams/types.js').AnswerItem} AnswerItem */
/** @typedef {import('../../../streams/types.js').JobState} JobState */

/** Members of upstream deltas that identify an object and are not appended. */
const NAMES = new Set(['id', 'type', 'index', 'expires_at']);

/**
 * Joins the pieces of a member from several deltas: arrays and strings are appended, objects
 * are joined member by member.
 * @param {any} whole
 * @param {any} piece
 * @param {string} [name]
 * @returns {any}
 */
function joinDelta(whole, piece, name = '') {
  if (Array.isArray(whole) && Array.isArray(piece)) return [...whole, ...piece];
  if (typeof whole === 'string' && typeof piece === 'string' && !NAMES.has(name)) {
    return whole + piece;
  }
  const objects = [whole, piece].every(
    (each) => typeof each === 'object' && each !== null && !(each instanceof ExactNumber),
  );
  if (!objects || Array.isArray(piece)) return piece ?? whole;
  const joined = { ...whole };
  for (const [key, value] of Object.entries(piece)) {
    joined[key] = joinDelta(joined[key], value, key);
  }
  return joined;
}

/**
 * @param {readonly AnswerItem[]} items
 * @param {'text' | 'reasoning' | 'refusal'} kind
 * @returns {string | null} null: the log has no logprobs
 */
function textOf(items, kind) {
  const texts = items.filter((item) => item.kind === kind);
  return texts.length === 0 ? null : texts.map((item) => 'text' in item && item.text).join('');
}

/** @param {readonly AnswerItem[]} items */
function logprobsOf(items) {
  const all = items.flatMap((item) => (item.kind === 'text' ? (item.logprobs ?? []) : []));
  return all.length === 0 ? null : all.reduce((whole, piece) => joinDelta(whole, piece));
}

/** @param {readonly AnswerItem[]} items */
export function callsOf(items) {
  return items
    .filter((item) => item.kind === 'tool_call')
    .map(({ id, name, arguments: given }) => ({
      id,
      type: 'function',
      function: { name, arguments: given },
    }));
}

/**
 * @param {string | null} reasoning
 * @param {ReasoningField} field
 */
function reasoningMembers(reasoning, field) {
  if (reasoning === null) return {};
  return {
    ...(field !== 'reasoning' && { reasoning_content: reasoning }),
    ...(field !== 'reasoning_content' && { reasoning }),
  };
}

/** @typedef {'reasoning_content' | 'reasoning' | 'both'} ReasoningField */

/**
 * @param {readonly AnswerItem[]} items
 * @param {ReasoningField} reasoningField
 */
export function messageOf(items, reasoningField) {
  const calls = callsOf(items);
  const refusal = textOf(items, 'refusal');
  const silent = calls.length > 0 || refusal !== null;
  const extra = items.filter((item) => item.kind === 'extra').map(({ delta }) => delta);
  return {
    role: 'assistant',
    content: textOf(items, 'text') ?? (silent ? null : ''),
    refusal,
    ...reasoningMembers(textOf(items, 'reasoning'), reasoningField),
    ...(calls.length > 0 && { tool_calls: calls }),
    ...extra.reduce((whole, piece) => joinDelta(whole, piece), {}),
  };
}

/**
 * @typedef {object} AnswerFacts
 * @property {string} id
 * @property {number} created Unix seconds
 * @property {string} model as requested; the upstream's name has precedence
 * @property {ReasoningField} reasoningField
 * @property {number} choicesPerPrompt
 */

/**
 * The usage of a call; for several prompts the sum.
 * @param {readonly JobState[]} states of the first choice of each prompt
 */
function usageOf(states) {
  const [{ usage }] = states;
  if (states.length === 1) return usage;
  const sum = (/** @type {'prompt_tokens' | 'completion_tokens'} */ name) =>
    states.reduce((total, state) => total + state.usage[name], 0);
  const counts = {
    prompt_tokens: sum('prompt_tokens'),
    completion_tokens: sum('completion_tokens'),
  };
  return {
    ...counts,
    total_tokens: counts.prompt_tokens + counts.completion_tokens,
    ...(states.some((state) => state.usage.estimated) && { estimated: true }),
  };
}

/**
 * @param {'chat.completion' | 'text_completion'} object
 * @param {AnswerFacts} facts
 * @param {readonly JobState[]} states one for each choice
 * @param {(state: JobState, index: number) => object} choice
 */
function answer(object, { id, created, model, choicesPerPrompt }, states, choice) {
  const [{ head = {} }] = states;
  return {
    ...{ id, object, created, model: head.model ?? model },
    ...(head.system_fingerprint && { system_fingerprint: head.system_fingerprint }),
    ...(head.service_tier && { service_tier: head.service_tier }),
    choices: states.map(choice),
    usage: usageOf(states.filter((_state, i) => i % choicesPerPrompt === 0)),
  };
}

/**
 * @param {AnswerFacts} facts
 * @param {readonly JobState[]} states with items, one for each choice
 * @returns {object} body of a `chat.completion`
 */
export function chatAnswer(facts, states) {
  return answer('chat.completion', facts, states, ({ items = [], reason }, index) => ({
    index,
    message: messageOf(items, facts.reasoningField),
    logprobs: logprobsOf(items),
    finish_reason: reason,
  }));
}

/**
 * @param {AnswerFacts} facts
 * @param {readonly JobState[]} states with items, one for each choice
 * @returns {object} body of a `text_completion`
 */
export function completionAnswer(facts, states) {
  return answer('text_completion', facts, states, ({ items = [], reason }, index) => ({
    text: textOf(items, 'text') ?? '',
    index,
    logprobs: logprobsOf(items),
    finish_reason: reason,
  }));
}
