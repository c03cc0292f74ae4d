/**
 * Schema and checks of a job's request, for both `POST /v1/jobs` and `gateway.submit()`. Field
 * names are snake_case in both.
 */
import { badRequest } from '../internal/util/http-error.js';
import { dotted, problemOf, schemaCheck } from '../internal/util/request-schema.js';

/** @typedef {'queued' | 'running' | 'completed' | 'failed' | 'cancelled'} JobStatus */

/** Every status, in the order that a job may pass through them. */
export const JOB_STATUSES = Object.freeze(
  /** @type {JobStatus[]} */ (['queued', 'running', 'completed', 'failed', 'cancelled']),
);

/**
 * @typedef {object} JobRequest
 * @property {string} [prompt] either this or `messages`
 * @property {{role: 'system' | 'developer' | 'user' | 'assistant', content: string}[]} [messages]
 * @property {string} [model] default: the provider's first
 * @property {number} [max_tokens] from 1
 * @property {number} [temperature] from 0 to 2
 * @property {string | string[]} [stop] up to 4 strings
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
 */

const SPAN_MS_MAX = 2 ** 31 - 1;
/** A year. */
const CACHE_TTL_S_MAX = 365 * 24 * 3600;
const METADATA_BYTES_MAX = 16 * 1024;
const DEPTH_MAX = 32;
/** Values are checked on the main thread. */
const VALUES_MAX = 500_000;

/** A century. */
export const TTL_S_MAX = 100 * 365 * 24 * 3600;

export const nonEmptyString = { type: 'string', minLength: 1 };

export const jobSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    prompt: nonEmptyString,
    messages: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['role', 'content'],
        properties: {
          role: { enum: ['system', 'developer', 'user', 'assistant'], type: 'string' },
          content: { type: 'string' },
        },
      },
    },
    model: { type: 'string', minLength: 1, maxLength: 256 },
    max_tokens: { type: 'integer', minimum: 1, maximum: SPAN_MS_MAX },
    temperature: { type: 'number', minimum: 0, maximum: 2 },
    stop: {
      type: ['string', 'array'],
      minLength: 1,
      minItems: 1,
      maxItems: 4,
      items: nonEmptyString,
    },
    metadata: { type: 'object' },
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
 * @returns {import('../internal/util/http-error.js').HttpError}
 */
export function schemaRefusal(error) {
  const { path, kind, says } = problemOf(error);
  const param = path.length === 0 ? null : dotted(path);
  const what = kind === 'unknown' ? 'is not a field of this request' : says;
  return badRequest(codeOfKind[kind], param, `${param ?? 'the body'} ${what}.`);
}

/**
 * Refuses lone surrogates, which UTF-8 and canonical JSON cannot encode, and nesting deep enough to
 * exhaust the stack of a recursive parser. Not recursive itself.
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
        `${path} makes the body hold over ${VALUES_MAX} values.`,
      );
    }
    if (typeof value === 'string' && !value.isWellFormed()) {
      throw badRequest('invalid_value', path, `${path} holds half of a surrogate pair.`);
    }
    if (typeof value !== 'object' || value === null) continue;
    if (depth > DEPTH_MAX) {
      throw badRequest('invalid_value', path, `${path} is nested deeper than ${DEPTH_MAX} levels.`);
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
  if (!validate(body)) throw schemaRefusal(/** @type {any} */ (validate.errors)[0]);
  const request = /** @type {JobRequest} */ (body);
  checkContents(request);
  if (request.prompt === undefined && request.messages === undefined) {
    throw badRequest('missing_field', 'prompt', 'Either prompt or messages is required.');
  }
  if (request.prompt !== undefined && request.messages !== undefined) {
    throw badRequest('invalid_value', 'messages', 'prompt and messages exclude each other.');
  }
  if (request.on_busy !== undefined && request.conversation_id === undefined) {
    throw badRequest('invalid_value', 'on_busy', 'on_busy goes with a conversation_id.');
  }
  checkMetadataSize(request.metadata);
  return request;
}

/**
 * @param {object | undefined} metadata
 * @throws {import('../internal/util/http-error.js').HttpError} 400
 */
export function checkMetadataSize(metadata) {
  if (metadata === undefined) return;
  if (Buffer.byteLength(JSON.stringify(metadata)) > METADATA_BYTES_MAX) {
    throw badRequest('invalid_value', 'metadata', 'metadata has at most 16 KiB as JSON.');
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

/**
 * Estimates the tokens of a prompt, for use before the model reports the actual number.
 * @param {JobRequest} request
 * @returns {number} a quarter of its bytes
 */
export function estimatePromptTokens({ prompt, messages = [] }) {
  const bytes = messages.reduce(
    (sum, { content }) => sum + Buffer.byteLength(content),
    Buffer.byteLength(prompt ?? ''),
  );
  return Math.ceil(bytes / 4);
}
