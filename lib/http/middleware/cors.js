/**
 * Cross-origin requests. Without allowed origins no CORS header is sent. Credentials are never
 * allowed: a page authenticates by a key or a signed URL, not by cookies.
 */
import { sendNoContent, setHeaders } from '../respond.js';

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE';
/** Constant headers of preflight responses. */
const REQUEST_HEADERS =
  'authorization, content-type, idempotency-key, last-event-id, cache-control, x-request-id, ' +
  'if-match, if-none-match, stream-closed, stream-seq, stream-ttl, stream-expires-at, ' +
  'stream-forked-from, stream-fork-offset, stream-fork-sub-offset, producer-id, producer-epoch, producer-seq';
/** The header names requested by a preflight are also allowed, because clients have many of their own. */
const HEADER_NAMES = /^[\w!#$%&'*+.^`|~, -]{1,4096}$/;
const RESPONSE_HEADERS = [
  'x-request-id',
  'location',
  'etag',
  'x-expires-at',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  'openai-processing-ms',
  'x-sluice-job-id',
  'x-sluice-upstream',
  'x-vercel-ai-ui-message-stream',
  'request-id',
  'idempotency-replayed',
  'x-cache',
  'ratelimit',
  'ratelimit-policy',
  ...[
    'next-offset',
    'cursor',
    'up-to-date',
    'closed',
    'ttl',
    'expires-at',
    'sse-data-encoding',
  ].map((name) => `stream-${name}`),
  ...['epoch', 'seq', 'expected-seq', 'received-seq'].map((name) => `producer-${name}`),
  ...['limit', 'remaining', 'reset'].flatMap((figure) =>
    ['requests', 'tokens'].map((unit) => `x-ratelimit-${figure}-${unit}`),
  ),
].join(', ');

/** How long a browser may cache a preflight response: Chromium's limit. */
const MAX_AGE_S = 7200;

/**
 * Sets the CORS headers, before anything can fail, so that a page can read errors too; answers
 * preflights.
 * @param {import('node:http').IncomingMessage} req
 * @param {import('node:http').ServerResponse} res
 * @param {readonly string[]} allowed origins; `*` is any
 * @returns {boolean} whether the request was a preflight and has been answered
 */
export function handleCors(req, res, allowed) {
  if (allowed.length === 0) return false;
  const any = allowed.includes('*');
  // A cache must not serve the answer for one origin to another.
  if (!any) vary(res, 'Origin');
  const { origin } = req.headers;
  if (origin === undefined || !(any || allowed.includes(origin))) return false;
  res.setHeader('Access-Control-Allow-Origin', any ? '*' : origin);
  res.setHeader('Access-Control-Expose-Headers', RESPONSE_HEADERS);
  const preflight = req.headers['access-control-request-method'] !== undefined;
  if (req.method !== 'OPTIONS' || !preflight) return false;
  setHeaders(res, {
    'Access-Control-Allow-Methods': METHODS,
    'Access-Control-Allow-Headers': allowedHeaders(req),
    'Access-Control-Max-Age': String(MAX_AGE_S),
  });
  sendNoContent(res);
  return true;
}

/** @param {import('node:http').IncomingMessage} req a preflight */
function allowedHeaders({ headers }) {
  const asked = headers['access-control-request-headers'];
  if (asked === undefined || !HEADER_NAMES.test(asked)) return REQUEST_HEADERS;
  const names = new Set(
    asked
      .toLowerCase()
      .split(',')
      .map((name) => name.trim()),
  );
  const others = REQUEST_HEADERS.split(', ').filter((name) => !names.has(name));
  return [asked, ...others].join(', ');
}

/**
 * @param {import('node:http').ServerResponse} res
 * @param {string} field added to the `Vary` header
 */
function vary(res, field) {
  const before = [res.getHeader('Vary') ?? []].flat().join(', ');
  const fields = before.split(',').map((each) => each.trim().toLowerCase());
  if (fields.includes('*') || fields.includes(field.toLowerCase())) return;
  res.setHeader('Vary', before === '' ? field : `${before}, ${field}`);
}
