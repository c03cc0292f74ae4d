/** Reads request bodies: bounded in bytes, decoded from a content encoding, as bytes or as JSON. */
import { hash } from 'node:crypto';
import { isUtf8 } from 'node:buffer';
import { HttpError, badRequest } from '../../internal/util/http-error.js';
import { zlib } from '../../internal/util/packages.js';
import { UNREADABLE } from '../error-handler.js';
import { parseExact } from '../../internal/util/exact-json.js';
import { whenReady } from '../../internal/util/when-ready.js';

/** @typedef {import('node:http').IncomingMessage} IncomingMessage */

/** @type {Record<string, (() => import('node:stream').Transform) | undefined>} */
const DECODERS = {
  gzip: () => zlib().createGunzip(),
  deflate: () => zlib().createInflate(),
  br: () => zlib().createBrotliDecompress(),
};

/** @param {string} message */
function unsupported(message) {
  return new HttpError(415, { code: 'unsupported_media_type', message });
}

/** @param {number} bytesMax */
export function tooLarge(bytesMax) {
  const message = `The body is over ${bytesMax} bytes.`;
  return new HttpError(413, { code: 'body_too_large', message });
}

/**
 * The body read by an earlier middleware, in the property used by Express's parsers.
 * @param {IncomingMessage} req
 * @returns {any} undefined: no such body
 */
const parsedBodyOf = (req) => /** @type {any} */ (req).body;

/**
 * @param {IncomingMessage} req
 * @returns {boolean} whether the request has no body
 */
export function isEmptyBody({ headers }) {
  return headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0;
}

/**
 * @param {IncomingMessage} req
 * @returns {{type: string, charset: string | undefined}} both in lower case
 */
export function contentTypeOf({ headers }) {
  const header = headers['content-type'] ?? '';
  if (header !== lastContentType.header) lastContentType = { header, ...parseContentType(header) };
  return lastContentType;
}

/** Cached, because clients usually repeat the same one. */
let lastContentType = { header: '', ...parseContentType('') };

/** @param {string} header */
function parseContentType(header) {
  const [type, ...parameters] = header.toLowerCase().split(';');
  const charsets = parameters.map((each) => /^\s*charset\s*=\s*"?([^"]*)"?\s*$/.exec(each)?.[1]);
  return { type: type.trim(), charset: charsets.find((charset) => charset !== undefined) };
}

/**
 * @param {string | undefined} charset
 * @returns {boolean} whether text with this charset is UTF-8
 */
export function isUtf8Charset(charset) {
  return charset === undefined || /^(utf-?8|us-ascii)$/.test(charset);
}

/**
 * The body with its content encoding decoded.
 * @param {IncomingMessage} req
 * @returns {import('node:stream').Readable}
 * @throws {HttpError} 415
 */
function decoded(req) {
  const encoding = (req.headers['content-encoding'] ?? 'identity').toLowerCase();
  if (encoding === 'identity') return req;
  const decoder = DECODERS[encoding];
  if (decoder === undefined) throw unsupported('This content encoding is not supported.');
  return req.pipe(decoder());
}

/** Bodies up to this size are read at once if they arrived with the head. */
export const SMALL_BYTES = 64 * 1024;

/**
 * @param {IncomingMessage} req
 * @returns {boolean} whether a small, unencoded, unread body has arrived completely
 */
export function hasCome(req) {
  if (req.readableFlowing !== null || req.readableEncoding !== null) return false;
  const { 'content-length': length, 'content-encoding': encoding } = req.headers;
  // Not by `req.complete`: Node sets it after the microtasks that follow the last byte. A chunked body has no
  // declared length.
  const isSmall = Number(length) <= SMALL_BYTES && Number(length) === req.readableLength;
  return isSmall && encoding === undefined && parsedBodyOf(req) === undefined;
}

/**
 * @param {IncomingMessage} req whose body has arrived
 * @returns {Buffer | null} null: an empty body
 */
function takeCome(req) {
  const bytes = req.read();
  // Node has yet to note the end of the body: without a reader it would emit neither `end` nor `close`, and keep the
  // request until the next one of its connection.
  if (bytes !== null) req.resume();
  return bytes;
}

/**
 * Reads the whole body.
 * @param {IncomingMessage} req
 * @param {number} bytesMax after decoding
 * @returns {Buffer | Promise<Buffer>} a promise if the body has not arrived yet
 * @throws {HttpError} 413, 415; 400 if the body is incomplete or badly encoded
 */
export function readBytes(req, bytesMax) {
  const parsed = parsedBodyOf(req);
  if (parsed !== undefined || req.readableEnded) {
    return Buffer.isBuffer(parsed) ? parsed : Buffer.from(parsed ?? '');
  }
  const declared = Number(req.headers['content-length']);
  if (declared > bytesMax) throw tooLarge(bytesMax);
  return (hasCome(req) ? takeCome(req) : undefined) ?? gather(req, bytesMax);
}

/**
 * @param {IncomingMessage} req
 * @param {number} bytesMax after decoding
 * @returns {Promise<Buffer>}
 */
function gather(req, bytesMax) {
  return new Promise((resolve, reject) => {
    const source = decoded(req);
    /** @type {Buffer[]} */
    const chunks = [];
    let size = 0;
    const stop = (/** @type {HttpError} */ error) => {
      if (source !== req) req.unpipe();
      source.removeAllListeners('data');
      req.resume();
      reject(error);
    };
    source.on('data', (/** @type {Buffer} */ chunk) => {
      size += chunk.length;
      if (size > bytesMax) stop(tooLarge(bytesMax));
      else chunks.push(chunk);
    });
    source.once('end', () => resolve(Buffer.concat(chunks)));
    const broken = () => stop(badRequest('invalid_value', null, UNREADABLE));
    source.once('error', broken);
    if (source !== req) req.once('error', broken);
    req.once('aborted', broken);
  });
}

/**
 * @param {string | Buffer} body
 * @returns {string} equal for equal bytes
 */
export function digestOf(body) {
  return hash('sha256', body, 'base64url');
}

/**
 * Reads a JSON body.
 * @param {IncomingMessage} req
 * @param {number} bytesMax
 * @param {object} [options]
 * @param {boolean} [options.optional] a request without a body may have any type; default false
 * @param {boolean} [options.exact] integers keep their digits, see `parseExact`; default false
 * @param {(bytes: Buffer) => void} [options.onBytes] called with the decoded body, unless an earlier
 *   middleware has read it
 * @returns {unknown} a promise if the body has not arrived yet; undefined without a body; an empty
 *   body counts as `{}`
 * @throws {HttpError} 400 `invalid_json`, 413, 415
 */
export function readJson(req, bytesMax, { optional = false, exact = false, onBytes } = {}) {
  const parsed = parsedBodyOf(req);
  if (parsed !== undefined) return parsed;
  if (optional && isEmptyBody(req)) return undefined;
  const { 'transfer-encoding': chunked, 'content-length': length } = req.headers;
  if (chunked === undefined && length === undefined) return undefined;
  const { type, charset } = contentTypeOf(req);
  if (type !== 'application/json' && !type.endsWith('+json')) {
    throw unsupported('The body must be application/json.');
  }
  if (!isUtf8Charset(charset)) throw unsupported('The body must be UTF-8.');
  return whenReady(readBytes(req, bytesMax), (bytes) => {
    onBytes?.(bytes);
    return bytes.length === 0 ? {} : parseJson(bytes, exact ? parseExact : JSON.parse);
  });
}

const BYTE_ORDER_MARK = 0xfeff;

/**
 * @param {Buffer} bytes
 * @param {(text: string) => unknown} [parse]
 * @returns {unknown} undefined without members
 * @throws {HttpError} 400 `invalid_json`
 */
export function parseJson(bytes, parse = JSON.parse) {
  if (bytes.length === 0) return undefined;
  try {
    // Decoding invalid UTF-8 would insert replacement characters.
    if (isUtf8(bytes)) {
      const text = bytes.toString();
      return parse(text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text);
    }
  } catch {
    // Reported below.
  }
  throw badRequest('invalid_json', null, 'The body is not JSON.');
}
