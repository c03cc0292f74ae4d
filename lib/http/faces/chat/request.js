/**
 * Divides the bodies of the chat and completion endpoints: members for the route, members that
 * the gateway interprets, and all others, which are passed to the upstream unchanged. Pure functions.
 */
import { badRequest } from '../../../internal/util/http-error.js';
import { schemaCheck } from '../../../internal/util/request-schema.js';
import { isTokens, schemaRefusal } from '../../../jobs/request.js';

/**
 * @typedef {object} Divided
 * @property {Record<string, any>} request the members that the gateway interprets
 * @property {Record<string, unknown>} passed
 * @property {object} options of the job, unchecked: the member `sluice`
 * @property {boolean} stream
 * @property {boolean} includeUsage whether the stream ends with a chunk of the usage
 */

const PROMPTS_MAX = 64;

/** Members that the gateway interprets; the upstream's request has own fields for them. */
const INTERPRETED = new Set([
  ...['model', 'messages', 'stop', 'temperature', 'max_tokens', 'max_completion_tokens'],
  ...['n', 'user', 'metadata'],
]);

const properties = {
  stream: { type: ['boolean', 'null'] },
  stream_options: {
    type: ['object', 'null'],
    properties: { include_usage: { type: ['boolean', 'null'] } },
  },
  sluice: { type: ['object', 'null'] },
};
const checkChat = schemaCheck({ type: 'object', required: ['messages'], properties });
const checkCompletions = schemaCheck({
  type: 'object',
  required: ['prompt'],
  properties: { ...properties, prompt: { type: ['string', 'array'], minItems: 1, minLength: 1 } },
});

/**
 * Checks a body against the schema of its endpoint.
 * @param {ReturnType<typeof schemaCheck>} check
 * @param {unknown} body
 * @returns {Record<string, any>} the same body
 * @throws {import('../../../internal/util/http-error.js').HttpError} 400, naming the member
 */
export function checkBody(check, body) {
  if (!check(body)) throw schemaRefusal(/** @type {any} */ (check.errors)[0]);
  return /** @type {Record<string, any>} */ (body);
}

/**
 * @param {Record<string, any>} body checked
 * @returns {Divided}
 */
export function divide(body) {
  const { stream, store: _store, sluice: options, prompt: _prompt, ...rest } = body;
  const { model, messages, stop, temperature, max_tokens, max_completion_tokens } = rest;
  const { n, user, metadata } = rest;
  const passed = Object.fromEntries(
    Object.entries(rest).filter(([name]) => !INTERPRETED.has(name)),
  );
  const request = {
    ...{ model, messages, stop, temperature, max_tokens, max_completion_tokens },
    ...{ n, user, metadata },
  };
  const includeUsage = rest.stream_options?.include_usage === true;
  return { request, passed, options: options ?? {}, stream: stream === true, includeUsage };
}

/**
 * @param {unknown} body of `POST /v1/chat/completions`
 * @returns {Divided}
 * @throws {import('../../../internal/util/http-error.js').HttpError} 400, naming the member
 */
export function divideChat(body) {
  return divide(checkBody(checkChat, body));
}

/**
 * @param {unknown} body of `POST /v1/completions`
 * @returns {Divided & {prompts: (string | number[])[]}} a prompt is a string or an array of tokens
 * @throws {import('../../../internal/util/http-error.js').HttpError} 400, naming the member
 */
export function divideCompletions(body) {
  const checked = checkBody(checkCompletions, body);
  const { prompt } = checked;
  const prompts = typeof prompt === 'string' || isTokens(prompt) ? [prompt] : prompt;
  if (prompts.length > PROMPTS_MAX) {
    throw badRequest('invalid_value', 'prompt', `prompt has at most ${PROMPTS_MAX} prompts.`);
  }
  prompts.forEach((/** @type {unknown} */ each, /** @type {number} */ i) => {
    if (typeof each === 'string' ? each !== '' : isTokens(each)) return;
    throw badRequest('invalid_type', `prompt[${i}]`, `prompt[${i}] must be a string or tokens.`);
  });
  return { ...divide(checked), prompts };
}
