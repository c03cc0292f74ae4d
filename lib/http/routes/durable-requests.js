/** Headers and queries of the Durable Streams protocol, checked. Pure. */
import { badRequest } from '../../internal/util/http-error.js';
import { isContentType } from '../../services/durable/content.js';
import { PRODUCER_ID_BYTES_MAX } from '../../services/durable/repository.js';
import { TTL_S_MAX } from '../../jobs/request.js';

/** @typedef {import('node:http').IncomingMessage} IncomingMessage */

const ROOT = '/v1/durable/';
const INTEGER = /^(0|[1-9]\d*)$/;
const DIGITS = /^\d+$/;
const TIME = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

/**
 * @param {IncomingMessage} req
 * @param {string} name in lower case
 * @returns {string | undefined} undefined: the header is missing
 */
function headerOf({ headers }, name) {
  const { [name]: value } = headers;
  return Array.isArray(value) ? value.join(', ') : value;
}

/**
 * @param {IncomingMessage} req
 * @returns {boolean} any value but `true` counts as a missing header
 */
function isClosing(req) {
  return headerOf(req, 'stream-closed')?.toLowerCase() === 'true';
}

/**
 * @param {IncomingMessage} req
 * @returns {string | undefined}
 */
function typeOf(req) {
  const type = headerOf(req, 'content-type')?.trim();
  if (type === undefined || type === '') return undefined;
  if (isContentType(type)) return type;
  throw badRequest('invalid_value', 'content-type', 'Content-Type takes a media type.');
}

/** @param {IncomingMessage} req */
function expiryOf(req) {
  const ttl = headerOf(req, 'stream-ttl');
  const expiresAt = headerOf(req, 'stream-expires-at');
  if (ttl !== undefined && expiresAt !== undefined) {
    const message = 'A stream takes Stream-TTL or Stream-Expires-At, not both.';
    throw badRequest('invalid_value', 'stream-ttl', message);
  }
  if (ttl !== undefined && !(INTEGER.test(ttl) && Number(ttl) <= TTL_S_MAX)) {
    const message = `Stream-TTL takes an integer of seconds from 0 to ${TTL_S_MAX}.`;
    throw badRequest('invalid_value', 'stream-ttl', message);
  }
  if (
    expiresAt !== undefined &&
    !(TIME.test(expiresAt) && Number.isFinite(Date.parse(expiresAt)))
  ) {
    const message = 'Stream-Expires-At takes a time as in RFC 3339.';
    throw badRequest('invalid_value', 'stream-expires-at', message);
  }
  return {
    ...(ttl !== undefined && { ttlS: Number(ttl) }),
    ...(expiresAt !== undefined && { expiresAt }),
  };
}

/**
 * @param {string} value path of the URL of a stream, with or without the prefix of this API
 * @param {string} baseUrl
 * @returns {string} path of the stream
 */
function sourceOf(value, baseUrl) {
  const root = [baseUrl + ROOT, ROOT, '/'].find((each) => value.startsWith(each)) ?? '';
  try {
    return decodeURIComponent(value.slice(root.length));
  } catch {
    const message = 'Stream-Forked-From takes the path of the URL of a stream.';
    throw badRequest('invalid_value', 'stream-forked-from', message);
  }
}

/**
 * @param {IncomingMessage} req
 * @param {string} baseUrl
 */
function forkOf(req, baseUrl) {
  const from = headerOf(req, 'stream-forked-from');
  const at = headerOf(req, 'stream-fork-offset');
  const sub = headerOf(req, 'stream-fork-sub-offset');
  if (from === undefined) {
    const [name] = Object.entries({ 'stream-fork-offset': at, 'stream-fork-sub-offset': sub }).find(
      ([, value]) => value !== undefined,
    ) ?? [''];
    if (name === '') return {};
    throw badRequest('missing_field', 'stream-forked-from', `${name} needs Stream-Forked-From.`);
  }
  if (sub !== undefined && !(INTEGER.test(sub) && Number.isSafeInteger(Number(sub)))) {
    const message = 'Stream-Fork-Sub-Offset takes an integer from 0.';
    throw badRequest('invalid_value', 'stream-fork-sub-offset', message);
  }
  return {
    from: sourceOf(from, baseUrl),
    ...(at !== undefined && { at }),
    ...(sub !== undefined && { sub: Number(sub) }),
  };
}

/**
 * @param {IncomingMessage} req a PUT
 * @param {string} baseUrl prefix of this API's paths in URLs
 * @returns {import('../../services/durable/head.js').Settings}
 */
export function settingsOf(req, baseUrl) {
  const type = typeOf(req);
  return {
    ...(type !== undefined && { type }),
    ...expiryOf(req),
    ...forkOf(req, baseUrl),
    closed: isClosing(req),
  };
}

/**
 * @param {string} name in lower case
 * @param {string} text
 * @returns {number}
 */
function numberOf(name, text) {
  const number = DIGITS.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(number)) return number;
  throw badRequest('invalid_value', name, `${name} takes an integer from 0 to 2^53 - 1.`);
}

/**
 * @param {IncomingMessage} req
 * @returns {import('../../services/durable/producers.js').Producer | undefined}
 */
function producerOf(req) {
  const names = ['producer-id', 'producer-epoch', 'producer-seq'];
  const [id, epoch, seq] = names.map((name) => headerOf(req, name));
  if (id === undefined && epoch === undefined && seq === undefined) return undefined;
  if (id === undefined || epoch === undefined || seq === undefined) {
    const missing = names.find((name) => headerOf(req, name) === undefined) ?? '';
    throw badRequest('missing_field', missing, `${names.join(', ')} are sent together.`);
  }
  if (id === '' || Buffer.byteLength(id) > PRODUCER_ID_BYTES_MAX) {
    const message = `producer-id takes 1 to ${PRODUCER_ID_BYTES_MAX} bytes.`;
    throw badRequest('invalid_value', 'producer-id', message);
  }
  return { id, epoch: numberOf('producer-epoch', epoch), seq: numberOf('producer-seq', seq) };
}

/**
 * @param {IncomingMessage} req a POST
 * @param {Buffer} body
 * @returns {import('../../services/durable/service.js').Append}
 */
export function appendOf(req, body) {
  // The type of an empty body is ignored, valid or not.
  const type = body.length === 0 ? undefined : typeOf(req);
  return {
    body,
    type,
    seq: headerOf(req, 'stream-seq'),
    close: isClosing(req),
    producer: producerOf(req),
  };
}

/**
 * @typedef {object} ReadQuery
 * @property {string} offset in the format of `DurableStreams.read`
 * @property {'long-poll' | 'sse'} [live]
 * @property {string} [cursor]
 */

/**
 * @param {import('../router.js').Context['query']} query
 * @returns {ReadQuery}
 */
export function readQueryOf({ offset, live, cursor }) {
  for (const [name, value] of Object.entries({ offset, live, cursor })) {
    if (value === undefined || typeof value === 'string') continue;
    throw badRequest('invalid_value', name, `${name} must be given once.`);
  }
  if (live !== undefined && live !== 'long-poll' && live !== 'sse') {
    throw badRequest('invalid_value', 'live', 'live takes long-poll or sse.');
  }
  if (live !== undefined && offset === undefined) {
    throw badRequest('missing_field', 'offset', 'offset is required with live.');
  }
  return {
    offset: /** @type {string | undefined} */ (offset) ?? '-1',
    live,
    cursor: /** @type {string | undefined} */ (cursor),
  };
}
