/** Reading a range of keys page by page: what is asked, the cursor between pages, and the answer. */
import { isUtf8 } from 'node:buffer';
import { rangeError } from '../../internal/util/errors.js';
import { checkInteger, checkOptions, checkString } from '../../internal/util/validate.js';
import { checkKey, decodeValue, versionOf } from './values.js';

const LIMIT_DEFAULT = 1000;
const LIMIT_MAX = 10_000;
/** So that the cursor behind the empty key is no empty string, and another form can tell itself. */
const CURSOR_FORM = '1';

/**
 * @typedef {object} KvScanOptions all may be left out
 * @property {string} [prefix] keys that begin with it
 * @property {string} [start] keys from this one on
 * @property {string} [end] keys before this one
 * @property {number} [limit] how many at most; default 1000, up to 10000
 * @property {string} [cursor] goes on behind the page that gave it
 */
/**
 * @typedef {object} KvPage
 * @property {{key: string, value: any, version: number}[]} items in the order of the keys' UTF-8
 *   bytes, which is that of their code points
 * @property {string | undefined} cursor for the next page; undefined: this was the last one
 */

/** @param {string} key the last one of a page */
export function cursorBehind(key) {
  return CURSOR_FORM + Buffer.from(key).toString('base64url');
}

/**
 * @param {unknown} cursor
 * @returns {string} the key that it is behind
 */
function keyOfCursor(cursor) {
  const text = checkString('cursor', cursor);
  const bytes = Buffer.from(text.slice(CURSOR_FORM.length), 'base64url');
  const key = bytes.toString();
  if (!isUtf8(bytes) || cursorBehind(key) !== text) {
    throw rangeError('cursor takes what an earlier scan gave as its cursor');
  }
  return key;
}

/**
 * @param {KvScanOptions} [options]
 * @returns {{limit: number, range: (string | undefined)[]}} `range` as the native side takes it
 */
export function checkScan(options) {
  const given = checkOptions('options', options);
  /** @param {'prefix' | 'start' | 'end'} name */
  const bound = (name) => (given[name] === undefined ? undefined : checkKey(name, given[name]));
  const limit = checkInteger('limit', given.limit, { max: LIMIT_MAX, fallback: LIMIT_DEFAULT });
  const after = given.cursor == null ? undefined : keyOfCursor(given.cursor);
  return { limit, range: [bound('prefix'), bound('start'), bound('end'), after] };
}

/**
 * @param {[more: number, ...any[]]} page as the native side gives it
 * @returns {KvPage}
 */
export function decodePage(page) {
  const items = [];
  for (let at = 1; at < page.length; at += 4) {
    const [key, data, kind, version] = page.slice(at, at + 4);
    items.push({ key, value: decodeValue(data, kind), version: versionOf(version) });
  }
  const last = items.at(-1);
  return { items, cursor: page[0] === 1 && last ? cursorBehind(last.key) : undefined };
}
