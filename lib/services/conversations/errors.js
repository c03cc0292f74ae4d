/** Errors of conversation requests. */
import { HttpError } from '../../internal/util/http-error.js';

/** The same answer for an unknown, an expired, a deleted and another principal's conversation. */
export function conversationNotFound() {
  return new HttpError(404, {
    code: 'conversation_not_found',
    param: 'conversation_id',
    message: 'No such conversation: it never existed, was deleted, or its time is over.',
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
export function conversationsFull(message, cause) {
  return new HttpError(507, {
    code: 'conversations_full',
    type: 'server_error',
    message,
    cause,
  });
}
