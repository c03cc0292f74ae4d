/** Reading a range of keys page by page: the request, the cursor between pages, and the answer. */
import { isUtf8 } from 'node:buffer';
import { rangeError } from '../../internal/util/errors.js';
import {
  checkBoolean,
  checkInteger,
  checkOptions,
  checkString,
} from '../../internal/util/validate.js';
import { checkKey, decodeValue, versionOf } from './values.js';

const LIMIT_DEFAULT = 1000;
const LIMIT_MAX = 10_000;
/** First character of a cursor: the direction, common to all pages of one scan. */
const ASCENDING = '1';
const DESCENDING = '2';

/**
 * @typedef {object} KvScanOptions all are optional
 * @property {string} [prefix] only keys with this prefix
 * @property {string} [start] first key (inclusive)
 * @property {string} [end] end of the range (exclusive)
 * @property {boolean} [reverse] from the last key of the range to the first; default false
 * @property {boolean} [keysOnly] items without their values; default false
 * @property {number} [limit] maximum number of items; default 1000, at most 10000
 * @property {string} [cursor] of the previous page: continues after it, in the same direction
 */
/**
 * @template [V=import('./values.js').KvValue]
 * @typedef {object} KvPage
 * @property {{key: string, value: V, version: number}[]} items in the order of the keys' UTF-8
 *   bytes, the same as that of their code points; with `keysOnly` there is no `value`
 * @property {string | undefined} cursor for the next page; undefined after the last page
 */

/**
 * @param {string} key the last key of a page
 * @param {boolean} [reverse]
 */
export function cursorBehind(key, reverse = false) {
  return (reverse ? DESCENDING : ASCENDING) + Buffer.from(key).toString('base64url');
}

/**
 * @param {unknown} cursor
 * @param {boolean} reverse
 * @returns {string} the last key of the previous page
 */
function keyOfCursor(cursor, reverse) {
  const text = checkString('cursor', cursor);
  const bytes = Buffer.from(text.slice(1), 'base64url');
  const key = bytes.toString();
  if (!isUtf8(bytes) || cursorBehind(key, reverse) !== text) {
    throw rangeError('cursor takes the cursor of an earlier page of the same scan');
  }
  return key;
}

/**
 * @typedef {object} CheckedScan
 * @property {boolean} reverse
 * @property {boolean} keysOnly
 * @property {unknown[]} request in the format of the native side: limit, reverse, keysOnly, prefix, start,
 *   end, after
 */

const KNOWN = ['prefix', 'start', 'end', 'reverse', 'keysOnly', 'limit', 'cursor'];

/**
 * @param {KvScanOptions} [options]
 * @returns {CheckedScan}
 */
export function checkScan(options) {
  const given = checkOptions('options', options, KNOWN);
  /** @param {'prefix' | 'start' | 'end'} name */
  const bound = (name) => (given[name] === undefined ? undefined : checkKey(name, given[name]));
  const limit = checkInteger('limit', given.limit, { max: LIMIT_MAX, fallback: LIMIT_DEFAULT });
  const reverse = checkBoolean('reverse', given.reverse, false);
  const keysOnly = checkBoolean('keysOnly', given.keysOnly, false);
  const after = given.cursor == null ? undefined : keyOfCursor(given.cursor, reverse);
  const range = [bound('prefix'), bound('start'), bound('end'), after];
  return { reverse, keysOnly, request: [limit, reverse, keysOnly, ...range] };
}

/**
 * @param {unknown[]} page in the format of the native side: whether there is more, then key, version,
 *   data and kind of each entry, without the last two for `keysOnly`
 * @param {CheckedScan} scan
 * @returns {KvPage<any>}
 */
export function decodePage(page, { reverse, keysOnly }) {
  /** @type {any[]} */
  const items = [];
  for (let at = 1; at < page.length; at += keysOnly ? 2 : 4) {
    const item = { key: page[at], version: versionOf(/** @type {number} */ (page[at + 1])) };
    if (keysOnly) items.push(item);
    else items.push({ ...item, value: decodeValue(page[at + 2], Number(page[at + 3])) });
  }
  const last = items.at(-1);
  return { items, cursor: page[0] === 1 && last ? cursorBehind(last.key, reverse) : undefined };
}
