/**
 * Cross-origin requests: which pages of other origins a browser lets read the answers. Without
 * origins there are no such headers at all. Never with credentials: a page says who it is by a key
 * or by a signed address, not by cookies.
 */

const kMethods = 'GET, HEAD, POST, PUT, DELETE';
const kRequestHeaders =
  'authorization, content-type, idempotency-key, last-event-id, cache-control, x-request-id, ' +
  'if-match, if-none-match';
const kResponseHeaders = [
  'x-request-id',
  'location',
  'etag',
  'x-expires-at',
  'retry-after',
  'idempotency-replayed',
  'x-cache',
  'ratelimit',
  'ratelimit-policy',
  ...['limit', 'remaining', 'reset'].flatMap((what) =>
    ['requests', 'tokens'].map((unit) => `x-ratelimit-${what}-${unit}`),
  ),
].join(', ');

/** How long a browser may remember a preflight's answer: Chromium's own limit. */
const kMaxAgeS = 7200;

/**
 * @param {() => readonly string[]} origins those allowed now; `*` is any
 * @returns {import('express').RequestHandler} sets the headers before anything may fail, so that a
 *   page can read errors too, and answers preflights
 */
export function cors(origins) {
  return (req, res, next) => {
    const allowed = origins();
    if (allowed.length === 0) return next();
    const any = allowed.includes('*');
    // A cache must not give one origin what was meant for another.
    if (!any) res.vary('Origin');
    const { origin } = req.headers;
    if (origin === undefined || !(any || allowed.includes(origin))) return next();
    res.set('Access-Control-Allow-Origin', any ? '*' : origin);
    res.set('Access-Control-Expose-Headers', kResponseHeaders);
    const preflight = req.headers['access-control-request-method'] !== undefined;
    if (req.method !== 'OPTIONS' || !preflight) return next();
    res.set({
      'Access-Control-Allow-Methods': kMethods,
      'Access-Control-Allow-Headers': kRequestHeaders,
      'Access-Control-Max-Age': String(kMaxAgeS),
    });
    res.status(204).end();
  };
}
