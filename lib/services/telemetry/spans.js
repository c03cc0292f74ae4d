/** Common parts of the gateway's spans. */
import { createRequire } from 'node:module';

/** @typedef {import('./api.js').Api} Api */
/** @typedef {import('@opentelemetry/api').Span} Span */

/**
 * Spans of a record that has not ended.
 * @typedef {object} Open
 * @property {Span} [job] absent for a shared answer
 * @property {import('@opentelemetry/api').Context} parent of attempts
 * @property {Span} [attempt]
 * @property {import('@opentelemetry/api').Attributes} [call] shared attributes of its last call
 */

/** Version of the package, which instruments spans and metrics. */
export const { version: VERSION } = createRequire(import.meta.url)('../../../package.json');

/** @param {Api} api */
export function tracerOf(api) {
  return api.trace.getTracer('sluice', VERSION);
}

/**
 * @param {Api} api
 * @param {Span} span
 * @param {string} type value of `error.type`
 * @param {string} [message]
 */
export function fail(api, span, type, message) {
  span.setAttribute('error.type', type);
  span.setStatus({ code: api.SpanStatusCode.ERROR, ...(message !== undefined && { message }) });
}
