/** Answers written only with node:http, so that they work in any server and framework. */
import { jsonOf } from '../primitives/kv/values.js';
import { stringifyExact } from '../internal/util/exact-json.js';

/**
 * @param {import('node:http').ServerResponse} res with nothing written yet
 * @param {number} status
 * @param {string | Buffer} body
 * @param {string} type value of `Content-Type`
 */
export function send(res, status, body, type) {
  res.statusCode = status;
  res.setHeader('Content-Type', type);
  res.setHeader('Content-Length', Buffer.byteLength(body));
  res.end(body);
}

/**
 * @param {import('node:http').ServerResponse} res with nothing written yet
 * @param {number} status
 * @param {unknown} body anything that JSON can represent
 */
export function sendJson(res, status, body) {
  send(res, status, stringifyExact(body), 'application/json; charset=utf-8');
}

/**
 * Like `sendJson`, for bodies with values of a KvStore: -0 stays -0.
 * @param {import('node:http').ServerResponse} res with nothing written yet
 * @param {number} status
 * @param {unknown} body
 */
export function sendValues(res, status, body) {
  send(res, status, jsonOf(body), 'application/json; charset=utf-8');
}

/**
 * @param {import('node:http').ServerResponse} res
 * @param {Record<string, string>} headers
 */
export function setHeaders(res, headers) {
  for (const name of Object.keys(headers)) res.setHeader(name, headers[name]);
}

/** @param {import('node:http').ServerResponse} res with nothing written yet */
export function sendNoContent(res) {
  res.statusCode = 204;
  res.end();
}

/**
 * Names the upstream of a job in its answer, if it is known.
 * @param {import('node:http').ServerResponse} res
 * @param {{upstream?: string}} job
 */
export function setUpstream(res, { upstream }) {
  if (upstream !== undefined) res.setHeader('X-Sluice-Upstream', upstream);
}
