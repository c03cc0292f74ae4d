/**
 * `If-Match` and `If-None-Match` (RFC 9110, section 13) over versions: an entity tag is the version
 * of a key in quotes. Pure functions.
 */
import { badRequest } from '../../internal/util/http-error.js';

const ANY = '*';
/** One entity tag of a list, with the separator after it. */
const TAG = /[\t ]*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"[\t ]*(?:,|$)/y;

/**
 * @param {number} version
 * @returns {string}
 */
export function tagOf(version) {
  return `"${version}"`;
}

/**
 * @param {string} header
 * @param {string} name
 * @returns {{weak: boolean, tag: string}[]}
 */
function parseTags(header, name) {
  const tags = [];
  TAG.lastIndex = 0;
  while (tags.length === 0 || TAG.lastIndex < header.length) {
    const found = TAG.exec(header);
    if (found === null) {
      throw badRequest('invalid_value', name, `${name} must be * or a list of quoted versions.`);
    }
    tags.push({ weak: found[1] !== undefined, tag: found[2] });
  }
  return tags;
}

/**
 * @param {string} header
 * @param {string} name
 * @param {number} version 0: no such key
 * @param {boolean} strong whether weak tags never match
 */
function matches(header, name, version, strong) {
  if (header.trim() === ANY) return version !== 0;
  return parseTags(header, name).some(
    ({ weak, tag }) => !(strong && weak) && version !== 0 && tag === String(version),
  );
}

/**
 * @param {import('node:http').IncomingMessage} req
 * @returns {boolean} whether the request has a precondition
 */
export function isConditional(req) {
  return req.headers['if-match'] !== undefined || req.headers['if-none-match'] !== undefined;
}

/**
 * @param {import('node:http').IncomingMessage} req
 * @param {number} version of the key; 0: no such key
 * @returns {'met' | 'failed' | 'not_modified'} `not_modified` for GET and HEAD only
 */
export function precondition(req, version) {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = req.headers;
  if (ifMatch !== undefined && !matches(ifMatch, 'If-Match', version, true)) return 'failed';
  if (ifNoneMatch === undefined || !matches(ifNoneMatch, 'If-None-Match', version, false)) {
    return 'met';
  }
  return req.method === 'GET' || req.method === 'HEAD' ? 'not_modified' : 'failed';
}
