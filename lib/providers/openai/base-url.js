import { checkString } from '../../internal/util/validate.js';
import { rangeError } from '../../internal/util/errors.js';

/**
 * Parses the base URL of calls.
 * @param {unknown} value
 * @returns {{origin: URL, path: string}} `path` without a slash at its end
 */
export function parseBaseUrl(value) {
  const takes = 'baseUrl takes an http or https URL without credentials, query or fragment';
  const text = checkString('baseUrl', value);
  if (!URL.canParse(text)) throw rangeError(takes);
  const url = new URL(text);
  if (!/^https?:$/.test(url.protocol)) throw rangeError(takes);
  if (url.username || url.password || url.search || url.hash) throw rangeError(takes);
  // Users often paste the URL of a call instead of the API's base URL.
  const path = url.pathname.replace(/(\/chat)?\/completions\/*$/, '').replace(/\/+$/, '');
  return { origin: url, path: path || '/v1' };
}
