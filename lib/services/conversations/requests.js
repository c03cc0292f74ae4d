/** Checks of requests about conversations. Pure functions. */
import { badRequest } from '../../internal/util/http-error.js';
import {
  checkContents,
  checkMetadataSize,
  jobSchema,
  TTL_S_MAX,
  schemaRefusal,
} from '../../jobs/request.js';
import { checkMessages } from '../../jobs/messages.js';
import { schemaCheck } from '../../internal/util/request-schema.js';

/** @typedef {import('../../providers/shared/messages.js').ChatMessage[]} Messages */

/**
 * @typedef {object} CreateRequest
 * @property {string} [title] up to 256 characters
 * @property {Record<string, unknown>} [metadata] at most 16 KiB as JSON
 * @property {number} [ttl_s] how long it is kept after its last turn; default: the gateway's
 * @property {Messages} [messages] initial messages
 */

/**
 * @typedef {object} ForkRequest omitted fields are taken from the conversation
 * @property {number} [at] number of messages to copy; default all
 * @property {string} [title]
 * @property {Record<string, unknown>} [metadata]
 * @property {number} [ttl_s]
 */

const TTL_S_MIN = 0.001;

const shared = {
  title: { type: 'string', maxLength: 256 },
  metadata: { type: 'object' },
  ttl_s: { type: 'number', minimum: TTL_S_MIN, maximum: TTL_S_MAX },
};
const validateCreate = schemaCheck({
  type: 'object',
  additionalProperties: false,
  properties: { ...shared, messages: { ...jobSchema.properties.messages, minItems: 0 } },
});
const validateFork = schemaCheck({
  type: 'object',
  additionalProperties: false,
  properties: { ...shared, at: { type: 'integer', minimum: 0 } },
});

/**
 * @template T
 * @param {ReturnType<typeof schemaCheck>} validate
 * @param {unknown} given undefined: no fields
 * @returns {T}
 */
function checked(validate, given) {
  const body = given === undefined ? {} : given;
  if (!validate(body)) throw schemaRefusal(/** @type {any} */ (validate.errors)[0]);
  const request = /** @type {any} */ (body);
  checkContents(request);
  checkMetadataSize(request.metadata);
  return request;
}

/** @param {string} role */
const instructs = (role) => role === 'system' || role === 'developer';

/**
 * Instructions must stand at the beginning of a conversation, as models require.
 * @param {Messages} messages
 * @param {boolean} first whether they are the first of their conversation
 */
function checkRoles(messages, first) {
  let beginning = first;
  for (const [i, { role }] of messages.entries()) {
    if (!instructs(role)) beginning = false;
    else if (!beginning) {
      const message = `messages[${i}].role may be ${role} only at the beginning of a conversation.`;
      throw badRequest('invalid_value', `messages[${i}].role`, message);
    }
  }
}

/**
 * @param {unknown} body
 * @returns {CreateRequest}
 * @throws {import('../../internal/util/http-error.js').HttpError} 400
 */
export function checkCreate(body) {
  const request = /** @type {CreateRequest} */ (checked(validateCreate, body));
  const { messages = [] } = request;
  checkMessages(messages);
  checkRoles(messages, true);
  return request;
}

/**
 * @param {unknown} body
 * @returns {ForkRequest}
 * @throws {import('../../internal/util/http-error.js').HttpError} 400
 */
export function checkFork(body) {
  return checked(validateFork, body);
}

/** Roles of a message that asks for an answer. */
const ASKING = ['user', 'tool', 'function'];

/**
 * @param {import('../../jobs/checked-request.js').CheckedRequest} request
 * @returns {Messages} the messages that the turn adds before the answer
 * @throws {import('../../internal/util/http-error.js').HttpError} 400
 */
export function messagesOfTurn({ prompt, prompt_ids: ids, messages }) {
  if (ids !== undefined) {
    throw badRequest('invalid_value', 'prompt', 'prompt must be a string in a conversation.');
  }
  if (messages === undefined) return [{ role: 'user', content: prompt ?? '' }];
  const last = messages.length - 1;
  if (!ASKING.includes(messages[last].role)) {
    const param = `messages[${last}].role`;
    const message = `${param} must be user, or tool after calls: the last message gets the answer.`;
    throw badRequest('invalid_value', param, message);
  }
  return messages;
}

/**
 * @param {Messages} messages of a turn
 * @param {number} before number of messages in the conversation
 * @throws {import('../../internal/util/http-error.js').HttpError} 400
 */
export function checkPlace(messages, before) {
  checkRoles(messages, before === 0);
}

/**
 * @param {Record<string, unknown>} query of `GET /v1/conversations`
 * @returns {{limit: number, after?: string}}
 * @throws {import('../../internal/util/http-error.js').HttpError} 400
 */
export function checkConversationsQuery({ limit = '20', after }) {
  if (typeof limit !== 'string' || !/^\d{1,3}$/.test(limit) || +limit < 1 || +limit > 100) {
    throw badRequest('invalid_value', 'limit', 'limit must be an integer from 1 to 100.');
  }
  if (after !== undefined && (typeof after !== 'string' || after === '')) {
    throw badRequest('invalid_value', 'after', 'after must be the id of a conversation.');
  }
  return { limit: +limit, after };
}
