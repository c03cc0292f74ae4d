/** The heads of event streams. */

/** Status, headers and TCP options of every stream: ready for browsers, proxies and nginx. */
const STREAM_HEADERS = Object.freeze({
  'Content-Type': 'text/event-stream',
  // no-transform prevents compression, which would delay tokens until its window is full.
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
});

/** The reconnection time while Redis is away, and of a stream whose job moves to another process. */
export const COME_BACK_MS = 1000;

/**
 * Makes the head of an event stream, which leaves with the first frames or with `flushHead`.
 * @param {import('node:http').ServerResponse} res
 */
export function setStreamHead(res) {
  // HTTP/2 has no Connection header, and Node refuses it there. If the client asks for the
  // connection to be closed, Node sends the header and closes it.
  const kept = res.req.httpVersionMajor < 2 && res.shouldKeepAlive;
  if (kept) res.setHeader('Connection', 'keep-alive');
  res.writeHead(200, STREAM_HEADERS);
}

/** @param {import('node:http').ServerResponse} res with its head made */
export function flushHead(res) {
  res.flushHeaders();
  // Tokens are small and must not wait for each other (Nagle).
  res.socket?.setNoDelay?.(true);
}

/**
 * Sends the head of an event stream.
 * @param {import('node:http').ServerResponse} res
 */
export function writeStreamHead(res) {
  setStreamHead(res);
  flushHead(res);
}

/**
 * Ends a stream before its first event, so that its client comes back: 200 and a reconnection time, because
 * an EventSource does not reconnect after any other status.
 * @param {import('node:http').ServerResponse} res with nothing written yet
 * @param {number} retryMs
 */
export function sendRetry(res, retryMs) {
  writeStreamHead(res);
  res.end(`retry: ${retryMs}\n`);
}
