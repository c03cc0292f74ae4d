/** The HTTP contract as a function of the Web's `Request` and `Response`. Main thread. */
import { WebIncomingMessage } from './web-request.js';
import { WebServerResponse } from './web-response.js';
import { typeError } from '../internal/util/errors.js';

/** @param {any} request @returns {request is Request} true also for a Request of another realm or a subclass */
function isRequest(request) {
  return typeof request?.url === 'string' && typeof request.headers?.get === 'function';
}

/**
 * Runs the handler on a Web `Request`.
 *
 * Resolves with the head; the body streams. Cancelling the body or aborting `request.signal` counts
 * as a disconnect of the client.
 * @param {import('./handler.js').Handler} handler
 * @param {Request} request with an unread body
 * @returns {Promise<Response>}
 * @throws {TypeError} for anything else
 */
export async function fetchFrom(handler, request) {
  if (!isRequest(request)) throw typeError('gateway.fetch takes a Request');
  const { signal } = request;
  signal?.throwIfAborted();
  const req = new WebIncomingMessage(request);
  const res = new WebServerResponse(req);
  const abort = () => res.destroy(signal.reason);
  signal?.addEventListener('abort', abort, { once: true });
  // Node would close the connection of an incomplete request.
  req.once('aborted', () => res.destroy());
  res.once('close', () => {
    signal?.removeEventListener('abort', abort);
    req.release();
  });
  handler(req, /** @type {any} */ (res));
  return res.response;
}
