/**
 * The application's OpenTelemetry, through `@opentelemetry/api` only. The package is an optional peer: it is
 * loaded when the application has registered an SDK, and everything is a no-op until then. Main thread.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { createRequire } from 'node:module';
import { lazy } from '../../internal/util/packages.js';

/** @typedef {typeof import('@opentelemetry/api')} Api */
/** @typedef {import('@opentelemetry/api').Context} Context */

/** Every version 1 of the API, in any copy, stores here what the SDK registers. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1');

const load = lazy(() => {
  try {
    return { api: /** @type {Api} */ (createRequire(import.meta.url)('@opentelemetry/api')) };
  } catch (/** @type {any} */ error) {
    return { error };
  }
});

/**
 * @param {{warn: (fields: object, message: string) => void}} log gets one warning if the package is missing
 * @returns {() => Api | undefined} undefined: there is no SDK, or the package cannot be loaded
 */
export function registeredApi(log) {
  let hasWarned = false;
  return () => {
    if (/** @type {any} */ (globalThis)[REGISTERED] === undefined) return undefined;
    const { api, error } = load();
    if (error !== undefined && !hasWarned) {
      hasWarned = true;
      log.warn({ err: error }, 'no telemetry: @opentelemetry/api is not installed beside sluice');
    }
    return api;
  };
}

/**
 * The context of the current request or of the application. The API's own function needs a context manager, which
 * not every SDK registers.
 * @type {AsyncLocalStorage<Context>}
 */
const current = new AsyncLocalStorage();

/** @param {Api} api @returns {Context} */
export function activeContext(api) {
  const own = current.getStore();
  const active = api.context.active();
  // Spans that the application has started within the request have precedence.
  return api.trace.getSpan(active) === undefined && own !== undefined ? own : active;
}

/**
 * @template T
 * @param {Api} api
 * @param {Context} context
 * @param {() => T} run
 * @returns {T}
 */
export function runIn(api, context, run) {
  return current.run(context, () => api.context.with(context, run));
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * The context from the headers of a request: by the application's propagator, or by W3C Trace Context if it has
 * none.
 * @param {Api} api
 * @param {Context} parent
 * @param {import('node:http').IncomingHttpHeaders} headers
 * @returns {Context}
 */
export function extract(api, parent, headers) {
  if (api.propagation.fields().length > 0) return api.propagation.extract(parent, headers);
  const { traceparent, tracestate } = headers;
  const [, version, traceId = '', spanId = '', flags = '00', more] =
    TRACEPARENT.exec(String(traceparent).trim()) ?? [];
  if (version === 'ff' || (version === '00' && more !== undefined)) return parent;
  if (!api.isValidTraceId(traceId) || !api.isValidSpanId(spanId)) return parent;
  return api.trace.setSpanContext(parent, {
    ...{ traceId, spanId, isRemote: true },
    traceFlags: parseInt(flags, 16) & api.TraceFlags.SAMPLED,
    ...(tracestate !== undefined && { traceState: api.createTraceState(String(tracestate)) }),
  });
}

/**
 * The headers that pass a context on.
 * @param {Api} api
 * @param {Context} context
 * @returns {Record<string, string>}
 */
export function inject(api, context) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (api.propagation.fields().length > 0) {
    api.propagation.inject(context, headers);
    return headers;
  }
  const span = api.trace.getSpanContext(context);
  if (span === undefined || !api.isSpanContextValid(span)) return headers;
  const { traceId, spanId, traceFlags, traceState } = span;
  headers.traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
  const state = traceState?.serialize();
  if (state) headers.tracestate = state;
  return headers;
}
