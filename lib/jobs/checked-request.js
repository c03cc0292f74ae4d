/**
 * Requests in the gateway's internal form: the members that it interprets, and
 * `passed`, the other members of the upstream call's body. Pure functions.
 */
import { openMessagesSchema } from './messages.js';
import {
  PASSED_NAMES,
  checkContents,
  checkMetadataSize,
  checkQuestion,
  checkTurn,
  checkWebhook,
  jobOptions,
  jobSchema,
  schemaRefusal,
} from './request.js';
import { schemaCheck } from '../internal/util/request-schema.js';
import { rounded } from '../internal/util/exact-json.js';

/** @typedef {import('./request.js').JobRequest} JobRequest */

/**
 * @typedef {object} CheckedMembers
 * @property {number[]} [prompt_ids] a prompt as token ids, in place of `prompt`
 * @property {number} [n] number of answers
 * @property {string} [instructions] for one turn: a system message before those of its conversation, which
 *   does not store it
 * @property {[number, number]} [history] for a turn: the positions in `messages` at which the conversation's
 *   earlier messages begin and end
 * @property {number} [left_out] number of messages of `history` that are not in `messages`
 * @property {Record<string, unknown>} [passed] further members of the upstream call's body
 */

/** @typedef {JobRequest & CheckedMembers} CheckedRequest */

/** @typedef {'on_disconnect' | 'disconnect_grace_ms' | 'max_wall_ms'} TimingOptionName */
/** @typedef {TimingOptionName | 'cache' | 'conversation_id' | 'on_busy' | 'webhook_url'
 *   | 'webhook_text'} JobOptionName */

/**
 * The options of a job, under the names of `POST /v1/jobs`.
 * @typedef {Pick<JobRequest, JobOptionName>} JobOptions
 */

/**
 * A request in the format of OpenAI's API, divided by a route.
 * @typedef {object} InterpretedRequest
 * @property {object} request the members that the gateway interprets: `model`, `messages` or `prompt`
 *   (a string or an array of token ids), `stop`, `temperature`, `max_tokens`, `max_completion_tokens`,
 *   `n`, `user`, `metadata`, `instructions` of a turn. A null counts as absent and is passed
 * @property {Record<string, unknown>} [passed] every other member, and the caller's `stream_options`
 * @property {unknown} [options] a `JobOptions`, unchecked; errors name its members `sluice.MEMBER`
 */

/**
 * @param {JobRequest} request
 * @returns {number | undefined} maximum tokens of its answer; undefined: no limit
 */
export function tokenLimitOf({ max_tokens: older, max_completion_tokens: newer }) {
  if (older === undefined || newer === undefined) return newer ?? older;
  return Math.min(older, newer);
}

const PASSED = new Set(PASSED_NAMES);

/**
 * @param {JobRequest} request of `POST /v1/jobs`, checked
 * @returns {CheckedRequest}
 */
export function fromJobRequest(request) {
  const { extra_body: extra } = request;
  // A copy with all members: an object made by rest is a dictionary for V8.
  /** @type {Record<string, any>} */
  const own = { ...request };
  if (extra !== undefined) delete own.extra_body;
  if (own.metadata !== undefined) own.metadata = rounded(own.metadata);
  /** @type {Record<string, unknown> | undefined} */
  let passed;
  // A request has few members, and the list of those that it may have is long.
  for (const name of Object.keys(own)) {
    if (!PASSED.has(name) || own[name] === undefined) continue;
    passed ??= {};
    passed[name] = own[name];
    delete own[name];
  }
  if (extra !== undefined) passed = { ...passed, ...extra };
  const isEmpty = passed === undefined || Object.keys(passed).length === 0;
  return /** @type {CheckedRequest} */ (isEmpty ? own : { ...own, passed });
}

const orNull = (/** @type {{type: string | string[], minimum?: number}} */ schema) => ({
  ...schema,
  type: [schema.type, 'null'].flat(),
});

const { properties: ofJob } = jobSchema;
/** With `echo` an answer may be the prompt alone. */
const tokenLimit = orNull({ ...ofJob.max_tokens, minimum: 0 });
const CHOICES_MAX = 16;

const interpretedSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    model: orNull(ofJob.model),
    messages: openMessagesSchema,
    prompt: {
      type: ['string', 'array'],
      items: { type: 'integer', minimum: 0 },
      minLength: 1,
      minItems: 1,
    },
    stop: { type: ['string', 'array', 'null'], items: { type: 'string' } },
    // The upstream checks its range: some servers accept more than 2.
    temperature: orNull({ type: 'number' }),
    max_tokens: tokenLimit,
    max_completion_tokens: tokenLimit,
    n: { type: ['integer', 'null'], minimum: 1, maximum: CHOICES_MAX },
    user: { type: ['string', 'null'] },
    metadata: { type: ['object', 'null'] },
    instructions: { type: 'string' },
  },
};
const validateInterpreted = schemaCheck(interpretedSchema);
const validateOptions = schemaCheck({
  type: 'object',
  additionalProperties: false,
  properties: jobOptions,
});

/** @param {unknown} options @returns {JobOptions} */
function checkedOptions(options) {
  if (!validateOptions(options)) {
    throw schemaRefusal(/** @type {any} */ (validateOptions.errors)[0], ['sluice']);
  }
  const checked = /** @type {JobOptions} */ (options);
  checkTurn(checked, 'sluice.');
  checkWebhook(checked, 'sluice.');
  return checked;
}

/**
 * @param {InterpretedRequest} given
 * @returns {CheckedRequest}
 * @throws {import('../internal/util/http-error.js').HttpError} 400, naming the field in `param`
 */
export function fromInterpreted({ request, passed = {}, options = {} }) {
  if (!validateInterpreted(request)) {
    throw schemaRefusal(/** @type {any} */ (validateInterpreted.errors)[0]);
  }
  checkContents({ ...passed, ...request });
  /** @type {Record<string, any>} */
  const own = {};
  /** @type {Record<string, unknown>} */
  const others = { ...passed };
  for (const [name, value] of Object.entries(request)) {
    if (value === undefined) continue;
    if (value === null || name === 'user' || name === 'metadata') others[name] = value;
    if (value !== null && name !== 'user') own[name] = name === 'metadata' ? rounded(value) : value;
  }
  checkQuestion(own);
  checkMetadataSize(own.metadata);
  const { prompt, ...rest } = own;
  const question = Array.isArray(prompt) ? { prompt_ids: prompt } : { prompt };
  const checked = { ...rest, ...question, ...checkedOptions(options), passed: others };
  return /** @type {CheckedRequest} */ (checked);
}

/**
 * @param {CheckedRequest} request of a job
 * @returns {CheckedRequest} copy without the history of its conversation
 */
export function withoutHistory(request) {
  const { history, messages = [] } = request;
  if (history === undefined) return request;
  const [begin, end] = history;
  const rest = [...messages.slice(0, begin), ...messages.slice(end)];
  return { ...request, messages: rest, left_out: end - begin };
}

/**
 * Undoes `withoutHistory`.
 * @param {CheckedRequest} request
 * @param {import('../providers/shared/messages.js').ChatMessage[]} messages of the conversation
 * @returns {CheckedRequest}
 */
export function withHistory({ left_out: count, ...request }, messages) {
  const { history = [0, 0], messages: rest = [] } = request;
  const whole = [
    ...rest.slice(0, history[0]),
    ...messages.slice(0, count),
    ...rest.slice(history[0]),
  ];
  return { ...request, messages: whole };
}
