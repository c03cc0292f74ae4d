import { randomUUID } from 'node:crypto';

/** Request ids that are safe in a header and a log line. */
const SAFE = /^[\w.:/+=@-]{1,128}$/;

/**
 * Sets `x-request-id` on a response: the caller's id if it is safe, else a new one.
 * @param {import('node:http').IncomingMessage} req
 * @param {import('node:http').ServerResponse} res
 */
export function setRequestId(req, res) {
  if (res.hasHeader('x-request-id')) return;
  const inbound = req.headers['x-request-id'];
  const usable = typeof inbound === 'string' && SAFE.test(inbound);
  res.setHeader('x-request-id', usable ? inbound : randomUUID());
}

/**
 * Also sets the id under the header name of Anthropic's API.
 * @param {import('node:http').ServerResponse} res with an `x-request-id`
 * @returns {string} the id
 */
export function setMessagesRequestId(res) {
  const id = String(res.getHeader('x-request-id'));
  res.setHeader('request-id', id);
  return id;
}
