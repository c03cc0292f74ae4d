/** Common parts of the adapters' requests. */

/**
 * @param {string} path
 * @param {object} body
 * @param {Record<string, string>} [headers]
 * @returns {import('../types.js').RequestParts}
 */
export function postJson(path, body, headers = {}) {
  return {
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  };
}

/** @param {string} text @returns {any} undefined: not JSON */
export function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Request headers of a stream. */
export const ACCEPT_STREAM = Object.freeze({ accept: 'text/event-stream' });

/** @param {string} [key] @returns {Record<string, string>} */
export function idempotencyHeader(key) {
  return key === undefined ? {} : { 'idempotency-key': key };
}
