import { parse } from 'node:querystring';

/** Pairs without escapes or other characters with a meaning. */
const PLAIN = /^[\w.~-]+=[\w.~-]*(?:&[\w.~-]+=[\w.~-]*)*$/;

/** `querystring` has a limit of 1000 pairs, which take more. */
const LENGTH_MAX = 2000;

/** An object without inherited members, as `querystring` makes; V8 keeps these in dictionaries. */
function Query() {}
Query.prototype = Object.create(null);

/**
 * Like `querystring.parse`, faster for the queries that clients of streams send.
 * @param {string} text
 * @returns {import('node:querystring').ParsedUrlQuery}
 */
export function parseQuery(text) {
  if (text.length > LENGTH_MAX || !PLAIN.test(text)) return parse(text);
  const query = new /** @type {any} */ (Query)();
  let begin = 0;
  while (begin < text.length) {
    const end = text.indexOf('&', begin);
    const pairEnd = end < 0 ? text.length : end;
    const mark = text.indexOf('=', begin);
    const name = text.slice(begin, mark);
    // A repeated name makes a list.
    if (query[name] !== undefined) return parse(text);
    query[name] = text.slice(mark + 1, pairEnd);
    begin = pairEnd + 1;
  }
  return query;
}
