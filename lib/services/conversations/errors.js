/** Errors of conversation requests. */
import { HttpError, badRequest } from '../../internal/util/http-error.js';

/** The same answer for an unknown, an expired, a deleted and another principal's conversation. */
export function conversationNotFound() {
  return new HttpError(404, {
    code: 'conversation_not_found',
    param: 'conversation_id',
    message: 'No such conversation: it never existed, was deleted or has expired.',
  });
}

/**
 * @param {string | undefined} jobId job of the running turn
 * @param {string} [message]
 */
export function conversationBusy(
  jobId,
  message = 'A turn of this conversation is under way; try again when it has ended.',
) {
  return new HttpError(409, {
    code: 'conversation_busy',
    param: 'conversation_id',
    message,
    jobId,
  });
}

/** @param {number} maxBytes */
export function conversationTooLong(maxBytes) {
  return new HttpError(400, {
    code: 'conversation_too_long',
    param: 'conversation_id',
    message: `A conversation has at most ${maxBytes} bytes of messages; begin another one.`,
  });
}

/**
 * @param {string} message
 * @param {unknown} [cause]
 */
function conversationsFull(message, cause) {
  return new HttpError(507, {
    code: 'conversations_full',
    type: 'server_error',
    message,
    cause,
  });
}

/**
 * @param {number} count messages of the conversation to be copied
 * @returns {HttpError} error for an `at` beyond the last message
 */
export function beyondMessages(count) {
  return badRequest(
    'invalid_value',
    'at',
    `at must be at most ${count}, the number of its messages.`,
  );
}

/** @returns {HttpError} error for a page after an unknown conversation */
export function unknownAfter() {
  const message = 'after must be the id of a conversation that is kept.';
  return badRequest('invalid_value', 'after', message);
}

/**
 * @param {number} max conversations of a principal
 * @returns {HttpError}
 */
export function tooManyConversations(max) {
  return conversationsFull(`There are as many conversations as there may be: ${max}.`);
}

/**
 * @param {number} max bytes of a principal
 * @param {unknown} [cause]
 * @returns {HttpError}
 */
export function principalFull(max, cause) {
  return conversationsFull(`Conversations have at most ${max} bytes together; delete some.`, cause);
}

/**
 * @param {unknown} [cause]
 * @returns {HttpError}
 */
export function serverFull(cause) {
  return conversationsFull('The server has no room for more conversations.', cause);
}

/**
 * @param {'count' | 'principal' | 'total'} limit the reached limit
 * @param {{maxPerPrincipal: number, maxBytesPerPrincipal: number}} limits
 * @returns {HttpError}
 */
export function fullBy(limit, { maxPerPrincipal, maxBytesPerPrincipal }) {
  if (limit === 'count') return tooManyConversations(maxPerPrincipal);
  return limit === 'principal' ? principalFull(maxBytesPerPrincipal) : serverFull();
}
