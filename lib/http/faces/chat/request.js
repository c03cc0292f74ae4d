/**
 * Reads the requests of the chat and completion endpoints: which members the gateway interprets, and
 * which it passes to the upstream unlooked. Pure functions.
 */
import { badRequest } from '../../../internal/util/http-error.js';
import { checkContents, checkMetadataSize, jobSchema, schemaRefusal } from '../../../jobs/request.js';
import { schemaCheck } from '../../../internal/util/json-schema.js';

/**
 * What a request asks of its job, in the names of `POST /v1/jobs`.
 * @typedef {Pick<import('../../../jobs/request.js').JobRequest, 'on_disconnect' | 'disconnect_grace_ms'
 *   | 'max_wall_ms' | 'cache' | 'conversation_id' | 'on_busy'>} JobOptions
 */

/**
 * @typedef {object} Interpreted
 * @property {string} [model]
 * @property {any[]} [messages]
 * @property {number} n answers asked for
 * @property {boolean} stream
 * @property {boolean} includeUsage whether the stream ends with a chunk of the usage
 * @property {JobOptions} options
 * @property {Record<string, any>} passed the members that go to the upstream as they are, the
 *   interpreted ones among them
 */

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool', 'function'];
const CHOICES_MAX = 16;
const PROMPTS_MAX = 64;

const { on_disconnect, disconnect_grace_ms, max_wall_ms, cache, conversation_id, on_busy } =
  jobSchema.properties;

/** The member `sluice` of a request: options of its job. */
export const sluiceSchema = {
  type: 'object',
  additionalProperties: false,
  properties: { on_disconnect, disconnect_grace_ms, max_wall_ms, cache, conversation_id, on_busy },
};

/** Members that chat and completions interpret alike; null counts as absent. */
const commonProperties = {
  model: { type: ['string', 'null'], minLength: 1, maxLength: 256 },
  stop: { type: ['string', 'array', 'null'], items: { type: 'string' } },
  temperature: { type: ['number', 'null'] },
  max_tokens: { type: ['integer', 'null'], minimum: 1 },
  max_completion_tokens: { type: ['integer', 'null'], minimum: 1 },
  n: { type: ['integer', 'null'], minimum: 1, maximum: CHOICES_MAX },
  user: { type: ['string', 'null'] },
  metadata: { type: ['object', 'null'] },
  stream: { type: ['boolean', 'null'] },
  stream_options: {
    type: ['object', 'null'],
    properties: { include_usage: { type: ['boolean', 'null'] } },
  },
  sluice: sluiceSchema,
};

const chatSchema = {
  type: 'object',
  required: ['messages'],
  properties: {
    ...commonProperties,
    messages: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        required: ['role'],
        properties: {
          role: { type: 'string', enum: ROLES },
          content: { type: ['string', 'array', 'null'] },
        },
      },
    },
  },
};

const completionsSchema = {
  type: 'object',
  required: ['prompt'],
  properties: { ...commonProperties, prompt: { type: ['string', 'array'], minItems: 1 } },
};

const checkChat = schemaCheck(chatSchema);
const checkCompletions = schemaCheck(completionsSchema);

/**
 * Checks a body against the schema of its endpoint.
 * @param {ReturnType<typeof schemaCheck>} check
 * @param {unknown} body
 * @returns {Record<string, any>} the same
 * @throws {import('../../../internal/util/http-error.js').HttpError} 400 that names the member
 */
export function checkBody(check, body) {
  if (!check(body)) throw schemaRefusal(/** @type {any} */ (check.errors)[0]);
  const request = /** @type {Record<string, any>} */ (body);
  checkContents(request);
  return request;
}

/**
 * @param {Record<string, any>} request checked
 * @returns {Omit<Interpreted, 'messages'>}
 */
function interpret(request) {
  // `store` asks OpenAI to keep the answer, for its dashboard.
  const { stream, store, sluice, ...passed } = request;
  const { model, n, metadata, stream_options: streamOptions } = passed;
  checkMetadataSize(metadata ?? undefined);
  return {
    model: model ?? undefined,
    n: n ?? 1,
    stream: stream === true,
    includeUsage: streamOptions?.include_usage === true,
    options: sluice ?? {},
    passed,
  };
}

/**
 * @param {unknown} body of `POST /v1/chat/completions`
 * @returns {Interpreted & {messages: any[]}}
 * @throws {import('../../../internal/util/http-error.js').HttpError} 400 that names the member
 */
export function interpretChat(body) {
  const request = checkBody(checkChat, body);
  return { ...interpret(request), messages: request.messages };
}

/** @param {unknown} value */
const isTokens = (value) => Array.isArray(value) && value.every((each) => Number.isInteger(each));

/**
 * @param {unknown} body of `POST /v1/completions`
 * @returns {Interpreted & {prompts: (string | number[])[]}} a prompt is a text, or tokens
 * @throws {import('../../../internal/util/http-error.js').HttpError} 400 that names the member
 */
export function interpretCompletions(body) {
  const request = checkBody(checkCompletions, body);
  const { prompt } = request;
  const prompts = typeof prompt === 'string' || isTokens(prompt) ? [prompt] : prompt;
  if (prompts.length > PROMPTS_MAX) {
    throw badRequest('invalid_value', 'prompt', `prompt has at most ${PROMPTS_MAX} prompts.`);
  }
  prompts.forEach((/** @type {unknown} */ each, /** @type {number} */ i) => {
    if (typeof each === 'string' || (isTokens(each) && /** @type {any} */ (each).length > 0)) return;
    throw badRequest('invalid_type', `prompt[${i}]`, `prompt[${i}] must be a string or tokens.`);
  });
  return { ...interpret(request), prompts };
}
