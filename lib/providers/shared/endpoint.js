/** Addresses, headers and keys of an upstream's HTTP API: checked once, when a provider is made. */
import { checkOptions, checkString } from '../../internal/util/validate.js';
import { rangeError, typeError } from '../../internal/util/errors.js';

/** Paths of calls that users may paste instead of the API's base URL. */
const CALL_PATHS = /\/(chat\/completions|completions|responses|embeddings|messages|models)\/*$/;

/**
 * @typedef {object} Endpoint
 * @property {URL} url only its origin is used
 * @property {string} path prefix of the paths of calls, without a trailing slash
 * @property {Record<string, string>} query of a pasted URL of a call
 */

/**
 * Parses the base URL of an API. The URL of a call is also accepted; its query is kept.
 * @param {string} option as written by the caller
 * @param {unknown} value
 * @returns {Endpoint} the path is `/v1` if the URL has none
 */
export function parseBaseUrl(option, value) {
  const takes = `${option} takes an http or https URL without credentials, query or fragment`;
  const text = checkString(option, value);
  if (!URL.canParse(text)) throw rangeError(takes);
  const url = new URL(text);
  if (!/^https?:$/.test(url.protocol)) throw rangeError(takes);
  const path = url.pathname.replace(CALL_PATHS, '').replace(/\/+$/, '');
  const isCall = CALL_PATHS.test(url.pathname);
  if (url.username || url.password || url.hash || (url.search && !isCall)) throw rangeError(takes);
  return { url, path: path || '/v1', query: Object.fromEntries(url.searchParams) };
}

/**
 * @param {string} option
 * @param {unknown} value
 * @returns {Record<string, string>} a copy
 */
export function checkStrings(option, value) {
  const given = checkOptions(option, /** @type {object | undefined} */ (value));
  return Object.fromEntries(
    Object.entries(given).map(([name, text]) => [name, checkString(`${option}["${name}"]`, text)]),
  );
}

/**
 * @param {string} option
 * @param {unknown} value not shown in errors: it may be a secret
 * @returns {Record<string, string>} by names in lower case
 */
export function checkHeaders(option, value) {
  const headers = Object.entries(checkStrings(option, value));
  for (const [name, text] of headers) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
      throw rangeError(`${option} takes valid names, not ${JSON.stringify(name)}`);
    }
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(text)) {
      throw rangeError(`${option}["${name}"] takes a valid header value`);
    }
  }
  return Object.fromEntries(headers.map(([name, text]) => [name.toLowerCase(), text]));
}

/**
 * @param {string} option
 * @param {unknown} key not shown in errors
 * @returns {string | undefined}
 */
export function checkApiKey(option, key) {
  if (key === undefined) return undefined;
  if (typeof key !== 'string') throw typeError(`${option} takes a string`);
  if (!/^[\x21-\x7e]+$/.test(key)) {
    throw rangeError(`${option} takes visible ASCII characters, without spaces`);
  }
  return key;
}

const SECRET_NAME = /auth|key|token|secret|password|cookie/i;

/**
 * Values that errors must not quote: the key, and headers and query members that hold credentials.
 * @param {string | undefined} apiKey
 * @param {...Record<string, string>} named
 * @returns {string[]}
 */
export function secretsOf(apiKey, ...named) {
  const values = named
    .flatMap((members) => Object.entries(members))
    .filter(([name]) => SECRET_NAME.test(name))
    .map(([, value]) => value.replace(/^(bearer|basic)\s+/i, ''));
  return [...(apiKey === undefined ? [] : [apiKey]), ...values].filter((value) => value !== '');
}

/**
 * @param {Record<string, string>} query
 * @returns {string} with the question mark; empty without members
 */
export function queryString(query) {
  const text = new URLSearchParams(query).toString();
  return text === '' ? '' : `?${text}`;
}
