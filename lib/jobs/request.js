/**
 * Schema and checks of a job's request, for both `POST /v1/jobs` and `gateway.submit()`. Field
 * names are snake_case in both.
 */
import { badRequest } from '../internal/util/http-error.js';
import { dotted, problemOf, schemaCheck } from '../internal/util/request-schema.js';
import { checkMessages, messagesSchema } from './messages.js';
import { rounded } from '../internal/util/exact-json.js';

/** @typedef {'queued' | 'running' | 'completed' | 'failed' | 'cancelled'} JobStatus */

/** Every status, in the order that a job may pass through them. */
const JOB_STATUSES = Object.freeze(
  /** @type {JobStatus[]} */ (['queued', 'running', 'completed', 'failed', 'cancelled']),
);

/**
 * @typedef {object} JobRequest
 * @property {string} [prompt] either this or `messages`
 * @property {import('../providers/shared/messages.js').ChatMessage[]} [messages]
 * @property {string} [model] default: the provider's first
 * @property {number} [max_tokens] from 1
 * @property {number} [max_completion_tokens] newer name of the same; with both the smaller one
 *   counts
 * @property {number} [temperature] from 0 to 2
 * @property {string | string[]} [stop] up to 4 strings
 * @property {object[] | null} [tools] this and the following members, up to `user`, go to the upstream
 *   unchanged
 * @property {string | object | null} [tool_choice]
 * @property {boolean | null} [parallel_tool_calls]
 * @property {object | null} [response_format]
 * @property {number | null} [seed]
 * @property {number | null} [top_p]
 * @property {number | null} [frequency_penalty]
 * @property {number | null} [presence_penalty]
 * @property {object | null} [logit_bias]
 * @property {boolean | number | null} [logprobs]
 * @property {number | null} [top_logprobs]
 * @property {string | null} [reasoning_effort]
 * @property {string | null} [verbosity]
 * @property {string | null} [user]
 * @property {Record<string, unknown>} [extra_body] further members of the upstream call's body
 * @property {Record<string, unknown>} [metadata] kept with the job; at most 16 KiB as JSON
 * @property {'cancel' | 'continue'} [on_disconnect] default `cancel`
 * @property {number} [disconnect_grace_ms] default 30000
 * @property {number} [max_wall_ms] default 300000
 * @property {{mode?: 'off' | 'on' | 'refresh', ttl_s?: number}} [cache] of answers to the same
 *   question: `off` neither reads nor stores, `on` does so at temperatures other than 0 too,
 *   `refresh` stores a new one; `ttl_s`: how long the answer to this job may be kept
 * @property {string} [conversation_id] the prompt is the next turn of this conversation: the
 *   provider gets its messages first, and the prompt and the answer are added to it
 * @property {'reject' | 'queue'} [on_busy] behaviour while another turn of the conversation is
 *   running; default `reject`
 * @property {string} [webhook_url] receives the end of the job; its host must be allowed by
 *   the server
 * @property {boolean} [webhook_text] whether the webhook has the text of the answer; default false
 */

const SPAN_MS_MAX = 2 ** 31 - 1;
/** A year. */
const CACHE_TTL_S_MAX = 365 * 24 * 3600;
const METADATA_BYTES_MAX = 16 * 1024;
/** Size of metadata, which stays in memory with the job. */
const METADATA_DEPTH_MAX = 32;
const DEPTH_MAX = 128;
/** Values are checked on the main thread. */
const VALUES_MAX = 500_000;

/** A century. */
export const TTL_S_MAX = 100 * 365 * 24 * 3600;

export const nonEmptyString = { type: 'string', minLength: 1 };

/** Members passed to the upstream with only their type checked. */
const passedMembers = {
  tools: { type: ['array', 'null'], items: { type: 'object' } },
  tool_choice: { type: ['string', 'object', 'null'] },
  parallel_tool_calls: { type: ['boolean', 'null'] },
  response_format: { type: ['object', 'null'] },
  seed: { type: ['integer', 'null'] },
  top_p: { type: ['number', 'null'] },
  frequency_penalty: { type: ['number', 'null'] },
  presence_penalty: { type: ['number', 'null'] },
  logit_bias: { type: ['object', 'null'] },
  logprobs: { type: ['boolean', 'integer', 'null'] },
  top_logprobs: { type: ['integer', 'null'] },
  reasoning_effort: { type: ['string', 'null'] },
  verbosity: { type: ['string', 'null'] },
  user: { type: ['string', 'null'] },
};

/** The names of the members passed to the upstream unchanged. */
export const PASSED_NAMES = Object.freeze(Object.keys(passedMembers));

/** Options of a job for the gateway only: no upstream receives them. */
export const jobOptions = {
  on_disconnect: { enum: ['cancel', 'continue'], type: 'string' },
  disconnect_grace_ms: { type: 'integer', minimum: 0, maximum: SPAN_MS_MAX },
  max_wall_ms: { type: 'integer', minimum: 1, maximum: SPAN_MS_MAX },
  cache: {
    type: 'object',
    additionalProperties: false,
    properties: {
      mode: { enum: ['off', 'on', 'refresh'], type: 'string' },
      ttl_s: { type: 'number', minimum: 0, maximum: CACHE_TTL_S_MAX },
    },
  },
  conversation_id: nonEmptyString,
  on_busy: { enum: ['reject', 'queue'], type: 'string' },
  webhook_url: nonEmptyString,
  webhook_text: { type: 'boolean' },
};

const tokenLimit = { type: 'integer', minimum: 1, maximum: SPAN_MS_MAX };

export const jobSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    prompt: nonEmptyString,
    messages: messagesSchema,
    model: { type: 'string', minLength: 1, maxLength: 256 },
    max_tokens: tokenLimit,
    max_completion_tokens: tokenLimit,
    temperature: { type: 'number', minimum: 0, maximum: 2 },
    stop: {
      type: ['string', 'array'],
      minLength: 1,
      minItems: 1,
      maxItems: 4,
      items: nonEmptyString,
    },
    metadata: { type: 'object' },
    ...passedMembers,
    extra_body: { type: 'object' },
    ...jobOptions,
  },
};

/** Jobs per signed URL or connection. */
export const JOBS_PER_STREAM_MAX = 64;

const streamUrlSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['job_ids'],
  properties: {
    job_ids: { type: 'array', minItems: 1, maxItems: JOBS_PER_STREAM_MAX, items: nonEmptyString },
  },
};

const validate = schemaCheck(jobSchema);
const validateStreamUrl = schemaCheck(streamUrlSchema);

/** @type {Record<import('../internal/util/request-schema.js').SchemaProblem['kind'], string>} */
const codeOfKind = {
  type: 'invalid_type',
  missing: 'missing_field',
  unknown: 'unknown_field',
  value: 'invalid_value',
};

/**
 * @param {import('ajv').ErrorObject} error
 * @param {string[]} [within] path of the checked value in the body; default: the body itself
 * @returns {import('../internal/util/http-error.js').HttpError}
 */
export function schemaRefusal(error, within = []) {
  const { path: inside, kind, says } = problemOf(error);
  const path = [...within, ...inside];
  const param = path.length === 0 ? null : dotted(path);
  const problem = kind === 'unknown' ? 'is not a field of this request' : says;
  return badRequest(codeOfKind[kind], param, `${param ?? 'the body'} ${problem}.`);
}

/**
 * Refuses lone surrogates, which UTF-8 and canonical JSON cannot encode, numbers beyond those of a
 * double, and nesting deep enough to exhaust the stack of a recursive parser. Not recursive itself.
 * @param {object} body
 */
export function checkContents(body) {
  /** @type {{value: unknown, path: string, depth: number}[]} */
  const open = [{ value: body, path: '', depth: 0 }];
  let values = 0;
  for (let item = open.pop(); item !== undefined; item = open.pop()) {
    const { value, path, depth } = item;
    values += 1;
    if (values > VALUES_MAX) {
      throw badRequest(
        'invalid_value',
        path,
        `${path} makes the body exceed ${VALUES_MAX} values.`,
      );
    }
    if (typeof value === 'string' && !value.isWellFormed()) {
      throw badRequest('invalid_value', path, `${path} holds half of a surrogate pair.`);
    }
    // JSON has no infinity: it would become null.
    if (value === Infinity || value === -Infinity) {
      throw badRequest('invalid_value', path, `${path} holds a number that is too large.`);
    }
    if (typeof value !== 'object' || value === null) continue;
    const depthMax = path === 'metadata' ? METADATA_DEPTH_MAX : DEPTH_MAX;
    if (depth > depthMax) {
      throw badRequest('invalid_value', path, `${path} is nested deeper than ${depthMax} levels.`);
    }
    for (const key of Object.keys(value)) {
      const child = /** @type {Record<string, unknown>} */ (value)[key];
      // The path stops at the field's first level: enough to find it, and bounded.
      const childPath = depth === 0 ? key : path;
      if (!key.isWellFormed()) {
        throw badRequest('invalid_value', path, `${path} holds half of a surrogate pair.`);
      }
      open.push({ value: child, path: childPath, depth: depth + 1 });
    }
  }
}

/**
 * @param {unknown} body parsed JSON
 * @returns {JobRequest} the same object
 * @throws {import('../internal/util/http-error.js').HttpError} 400, naming the field in `param`
 */
export function checkJobRequest(body) {
  // For the schema an `ExactNumber` is not a number.
  if (!validate(body) && !validate(rounded(body))) {
    throw schemaRefusal(/** @type {any} */ (validate.errors)[0]);
  }
  const request = /** @type {JobRequest} */ (body);
  checkContents(request);
  checkQuestion(request);
  if (request.messages !== undefined) checkMessages(request.messages);
  checkExtraBody(request.extra_body);
  checkTurn(request);
  checkWebhook(request);
  checkMetadataSize(request.metadata);
  return request;
}

/**
 * Exactly one of `prompt` and `messages` must be given.
 * @param {{prompt?: unknown, messages?: unknown}} request
 */
export function checkQuestion({ prompt, messages }) {
  if (prompt === undefined && messages === undefined) {
    throw badRequest('missing_field', 'prompt', 'Either prompt or messages is required.');
  }
  if (prompt !== undefined && messages !== undefined) {
    throw badRequest('invalid_value', 'messages', 'prompt and messages exclude each other.');
  }
}

/**
 * @param {Pick<JobRequest, 'conversation_id' | 'on_busy'>} request
 * @param {string} [within] object that holds the two, for the message
 */
export function checkTurn({ conversation_id: id, on_busy: onBusy }, within = '') {
  if (onBusy === undefined || id !== undefined) return;
  const param = `${within}on_busy`;
  throw badRequest('invalid_value', param, `${param} requires conversation_id.`);
}

/**
 * @param {Pick<JobRequest, 'webhook_url' | 'webhook_text'>} request
 * @param {string} [within] object that holds the two, for the message
 */
export function checkWebhook({ webhook_url: url, webhook_text: text }, within = '') {
  if (text === undefined || url !== undefined) return;
  const param = `${within}webhook_text`;
  throw badRequest('invalid_value', param, `${param} requires webhook_url.`);
}

/** Members of an upstream call's body that the gateway interprets or sets. */
const OWN_MEMBERS = new Set([
  ...['prompt', 'messages', 'model', 'max_tokens', 'max_completion_tokens', 'temperature', 'stop'],
  ...['n', 'stream'],
]);

/** @param {Record<string, unknown>} [extra] */
function checkExtraBody(extra = {}) {
  for (const name of Object.keys(extra)) {
    if (!OWN_MEMBERS.has(name)) continue;
    const param = `extra_body.${name}`;
    const reason = name === 'n' || name === 'stream' ? 'the gateway sets it' : `use ${name} itself`;
    throw badRequest('invalid_value', param, `${param} is not allowed: ${reason}.`);
  }
}

/**
 * @param {object | undefined} metadata
 * @throws {import('../internal/util/http-error.js').HttpError} 400
 */
export function checkMetadataSize(metadata) {
  if (metadata === undefined) return;
  if (Buffer.byteLength(JSON.stringify(metadata)) > METADATA_BYTES_MAX) {
    throw badRequest('invalid_value', 'metadata', 'metadata must have at most 16 KiB as JSON.');
  }
}

/**
 * @param {unknown} body of `POST /v1/stream_url`
 * @returns {string[]} distinct job ids
 * @throws {import('../internal/util/http-error.js').HttpError} 400
 */
export function checkStreamUrlRequest(body) {
  if (!validateStreamUrl(body)) {
    throw schemaRefusal(/** @type {any} */ (validateStreamUrl.errors)[0]);
  }
  return [...new Set(/** @type {{job_ids: string[]}} */ (body).job_ids)];
}

/**
 * Copies a JavaScript caller's request as JSON would carry it. Later changes by the caller have no
 * effect; values that JSON cannot represent are refused.
 * @param {unknown} request
 * @returns {unknown}
 */
export function asJson(request) {
  try {
    const text = JSON.stringify(request);
    return text === undefined ? undefined : JSON.parse(text);
  } catch (cause) {
    throw badRequest('invalid_value', null, `The request cannot be written as JSON: ${cause}`);
  }
}

/**
 * @param {Record<string, unknown>} query of `GET /v1/jobs`
 * @returns {{limit: number, after?: string, status?: JobStatus}}
 */
export function checkListQuery(query) {
  const { limit = '20', after, status } = query;
  if (typeof limit !== 'string' || !/^\d{1,3}$/.test(limit) || +limit < 1 || +limit > 100) {
    throw badRequest('invalid_value', 'limit', 'limit must be an integer from 1 to 100.');
  }
  if (after !== undefined && (typeof after !== 'string' || after === '')) {
    throw badRequest('invalid_value', 'after', 'after must be the id of a job.');
  }
  if (status !== undefined && !JOB_STATUSES.includes(/** @type {any} */ (status))) {
    throw badRequest(
      'invalid_value',
      'status',
      `status must be one of ${JOB_STATUSES.join(', ')}.`,
    );
  }
  return { limit: +limit, after, status: /** @type {any} */ (status) };
}

/** @param {unknown} value @returns {boolean} whether it is a text as tokens: integers, at least one */
export function isTokens(value) {
  return Array.isArray(value) && value.length > 0 && value.every((each) => Number.isInteger(each));
}
