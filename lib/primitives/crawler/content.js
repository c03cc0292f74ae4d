/** Decodes the bytes of an answer: content codings up to a size, charsets. */
import { isUtf8 } from 'node:buffer';
import { MIMEType, promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw } from 'node:zlib';
import { htmlEncodingSniffer } from '../../internal/util/packages.js';

/** Maximum layers of content codings. */
const CODINGS_MAX = 3;

/** The five bytes that windows-1252 leaves undefined stand for the control characters. */
const WINDOWS_1252 =
  '\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f' +
  '\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178';

const unzip = {
  gzip: promisify(gunzip),
  br: promisify(brotliDecompress),
  zlib: promisify(inflate),
  raw: promisify(inflateRaw),
};

/**
 * `deflate` means the zlib format (RFC 9110), but some servers send raw deflate.
 * @param {Buffer} bytes
 */
function isZlib(bytes) {
  return bytes.length >= 2 && (bytes[0] & 0x0f) === 8 && bytes.readUInt16BE(0) % 31 === 0;
}

/**
 * @param {string | string[] | undefined} header content-encoding
 * @returns {string[] | undefined} in the order applied; undefined if a coding is unknown
 */
export function codingsOf(header) {
  const names = [header ?? []]
    .flat()
    .flatMap((value) => value.split(','))
    .map((name) => name.trim().toLowerCase().replace(/^x-/, ''))
    .filter((name) => name !== '' && name !== 'identity');
  if (names.length > CODINGS_MAX) return undefined;
  return names.every((name) => ['gzip', 'br', 'deflate'].includes(name)) ? names : undefined;
}

/**
 * @param {Buffer} bytes
 * @param {string[]} codings
 * @param {number} bytesMax
 * @returns {Promise<Buffer | undefined>} undefined: the result exceeds `bytesMax`
 * @throws {Error} if the bytes are not in that coding
 */
export async function decoded(bytes, codings, bytesMax) {
  let content = bytes;
  for (const coding of [...codings].reverse()) {
    if (content.length === 0) return content;
    const format = coding === 'deflate' ? (isZlib(content) ? 'zlib' : 'raw') : coding;
    try {
      content = await unzip[/** @type {keyof typeof unzip} */ (format)](content, {
        maxOutputLength: bytesMax,
      });
    } catch (/** @type {any} */ error) {
      if (error.code === 'ERR_BUFFER_TOO_LARGE') return undefined;
      throw error;
    }
  }
  return content;
}

/**
 * @param {string | string[] | undefined} header content-type
 * @returns {{type: string, charset: string | undefined}} `type` in lower case, '' without a content-type
 */
export function mediaTypeOf(header) {
  try {
    const { essence, params } = new MIMEType(String([header ?? ''].flat()[0]));
    return { type: essence, charset: params.get('charset') ?? undefined };
  } catch {
    return { type: '', charset: undefined };
  }
}

/**
 * The media type of an answer that declares none, by its first bytes.
 * @param {Buffer} bytes
 * @returns {string} '' for content that is not text
 */
export function sniffType(bytes) {
  const start = bytes.subarray(0, 1024).toString('latin1');
  if (/^(\xef\xbb\xbf)?\s*</.test(start)) return 'text/html';
  return start.includes('\0') ? '' : 'text/plain';
}

/**
 * Decodes text by its byte order mark, the charset of the header, or the document's own
 * declaration, in this order; without any of them as valid UTF-8, else as windows-1252.
 * @param {Buffer} bytes
 * @param {string | undefined} charset
 * @returns {string}
 */
export function textOf(bytes, charset) {
  const defaultEncoding = isUtf8(bytes) ? 'UTF-8' : 'windows-1252';
  let encoding = defaultEncoding;
  try {
    encoding = htmlEncodingSniffer()(bytes, {
      transportLayerEncodingLabel: charset,
      defaultEncoding,
    });
  } catch {
    // The sniffer throws on an unfinished declaration, which then counts as absent.
  }
  if (encoding === 'windows-1252') return windows1252(bytes);
  try {
    return new TextDecoder(encoding).decode(bytes);
  } catch {
    return windows1252(bytes); // This build of Node lacks the encoding.
  }
}

/**
 * Some versions of Node decode windows-1252 as latin1.
 * @param {Buffer} bytes
 */
function windows1252(bytes) {
  return bytes
    .toString('latin1')
    .replace(/[\x80-\x9f]/g, (byte) => WINDOWS_1252[byte.charCodeAt(0) - 0x80]);
}
