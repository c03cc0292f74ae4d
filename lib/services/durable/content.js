/**
 * Content of streams: converts request bodies to stored data, and stored data to answers. A stream of bytes stores
 * bodies unchanged. A JSON stream stores the messages of a body as text, joined by commas: `[1,2]` as `1,2`.
 * Numbers keep their digits, because the original text is stored after a check. Pure functions.
 */
import { isUtf8 } from 'node:buffer';
import { badRequest } from '../../internal/util/http-error.js';

const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+$/;
const CHARSET = /;\s*charset\s*=\s*"?([^";\s]*)"?/i;
const COMMA = Buffer.from(',');
const [OPEN, CLOSE] = [Buffer.from('['), Buffer.from(']')];

/** Content type of a stream created without one. */
export const DEFAULT_TYPE = 'application/octet-stream';

/**
 * @param {string} type
 * @returns {string} the media type without parameters, in lower case
 */
export function mediaTypeOf(type) {
  return type.split(';', 1)[0].trim().toLowerCase();
}

/** @param {string} type value of a Content-Type header */
export function isContentType(type) {
  return MEDIA_TYPE.test(mediaTypeOf(type));
}

/** @param {string} type */
export function isJson(type) {
  return mediaTypeOf(type) === 'application/json';
}

/**
 * @param {string} type
 * @returns {boolean} whether events carry the content as text; else as base64
 */
export function isText(type) {
  if (isJson(type)) return true;
  const charset = CHARSET.exec(type)?.[1].toLowerCase() ?? 'utf-8';
  return mediaTypeOf(type).startsWith('text/') && ['utf-8', 'utf8', 'us-ascii'].includes(charset);
}

/**
 * @param {Buffer} body
 * @returns {string} its messages, joined by commas; empty for `[]`
 * @throws {import('../../internal/util/http-error.js').HttpError} 400 `invalid_json`
 */
function messagesIn(body) {
  try {
    if (!isUtf8(body)) throw new SyntaxError('not UTF-8');
    // The decoder drops a byte order mark.
    const text = new TextDecoder().decode(body).trim();
    const value = JSON.parse(text);
    return Array.isArray(value) ? text.slice(1, -1).trim() : text;
  } catch {
    throw badRequest('invalid_json', null, 'The body is not JSON.');
  }
}

/**
 * @param {string} type content type of the stream
 * @param {Buffer} body
 * @param {{empty?: boolean}} [options] `empty`: whether `[]` is allowed; default false
 * @returns {Buffer} the data to store; empty only for an empty body or an allowed `[]`
 * @throws {import('../../internal/util/http-error.js').HttpError} 400
 */
export function contentOf(type, body, { empty = false } = {}) {
  if (!isJson(type) || body.length === 0) return body;
  const messages = messagesIn(body);
  if (messages !== '' || empty) return Buffer.from(messages);
  throw badRequest('invalid_value', null, 'An empty array appends nothing.');
}

/**
 * @param {string} type content type of the stream
 * @param {Buffer[]} chunks of successive appends
 * @returns {Buffer} body of a read
 */
export function bodyOf(type, chunks) {
  if (!isJson(type)) return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
  const joined = chunks.flatMap((chunk, i) => (i === 0 ? [chunk] : [COMMA, chunk]));
  return Buffer.concat([OPEN, ...joined, CLOSE]);
}

/**
 * @param {Buffer} chunk messages joined by commas
 * @param {number} count at least 1
 * @returns {number | undefined} bytes of the first `count` messages; undefined: there are fewer
 */
export function bytesOfMessages(chunk, count) {
  let depth = 0;
  let seen = 0;
  let quoted = false;
  for (let i = 0; i < chunk.length; i += 1) {
    const char = String.fromCharCode(chunk[i]);
    if (quoted) {
      if (char === '\\') i += 1;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === '[' || char === '{') depth += 1;
    else if (char === ']' || char === '}') depth -= 1;
    else if (char === ',' && depth === 0) {
      seen += 1;
      if (seen === count) return i;
    }
  }
  return seen + 1 === count ? chunk.length : undefined;
}
