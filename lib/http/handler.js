/** The HTTP contract as one function of node:http's request and response. Main thread. */
import { badRequest } from '../internal/util/http-error.js';
import { Router, endpointOf } from './router.js';
import { Exchange } from './exchange.js';
import { recorded } from './middleware/audit-trail.js';
import { createAuthenticator } from './middleware/authenticate.js';
import { checkOrigin } from './middleware/check-origin.js';
import { guardAnswer } from './middleware/answer-guard.js';
import { discardBody, guardBody } from './middleware/body-guard.js';
import { handleCors } from './middleware/cors.js';
import { mountPrefix } from './mount-prefix.js';
import { ANONYMOUS } from '../jobs/policy/config.js';
import { parseQuery } from './query.js';
import { UNREADABLE, methodNotAllowed, routeNotFound, sendError } from './error-handler.js';
import { digestOf, readBytes, readJson } from './middleware/body.js';
import { COME_BACK_MS, sendRetry } from './sse/head.js';
import { setHeaders } from './respond.js';
import { setRequestId } from './middleware/request-id.js';
import { whenReady } from '../internal/util/when-ready.js';

/** @typedef {import('node:http').IncomingMessage} IncomingMessage */
/** @typedef {import('node:http').ServerResponse} ServerResponse */
/** @typedef {import('./router.js').Context} Context */

/**
 * Answers the requests of the contract. As a middleware it passes every other path to `next`. As a
 * listener of node:http, without `next`, it also answers below any prefix: `/ai/v1/jobs` as `/v1/jobs`.
 *
 * URLs in answers begin with the prefix that the client used: `X-Forwarded-Prefix` of a trusted proxy,
 * then `req.baseUrl` (Express) or the part of `req.originalUrl` before `req.url` (Connect, Fastify),
 * then the prefix in the URL.
 * @typedef {(req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void) => void}
 *   Handler
 */

/**
 * @typedef {object} HandlerDeps
 * @property {import('./router.js').Routes} routes
 * @property {import('../jobs/policy/access-control.js').AccessControl} access
 * @property {import('./middleware/authenticate.js').Authenticate} [authenticate]
 * @property {import('../jobs/policy/signed-urls.js').StreamUrls} streamUrls
 * @property {{requireAdmin: (req: IncomingMessage, caller: {admin: boolean}) => void}} admins
 * @property {import('./mount-prefix.js').TrustedProxies} trustProxy
 * @property {number} bodyBytesMax
 * @property {number} stallMs time without progress after which a client that does not read its answer is
 *   disconnected
 * @property {number} bodyIdleMs longest silence of a client within a body
 * @property {import('../internal/util/memory-budget.js').MemoryBudget} memory
 * @property {import('../services/audit/entries.js').AuditPort} audit
 * @property {(req: IncomingMessage, res: ServerResponse, route: string, answer: () => void) => void}
 *   [onRequest] calls `answer` once, in the context of a trace; default: only calls it
 * @property {(route: string, status: number) => void} [onAnswer] called at the end of each answer
 *   or, for a stream with its own socket, once its head is sent. `route` is a path of the table, or
 *   `unknown`
 * @property {() => void} checkOpen throws an HttpError once the gateway is closed
 * @property {import('../internal/util/logger.js').Logger} log
 */

/** Resolves in the next microtask. */
const PARSED = Promise.resolve();

/** Route label for requests for unknown paths. */
const UNKNOWN_ROUTE = 'unknown';

/** Malformed paths with this prefix are answered here, not passed to `next`. */
const OWN_PREFIX = '/v1/';

/** Responses must not be cached; tokens in stream URLs must not leak in a Referer header. */
const HEADERS = Object.freeze({ 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer' });

/**
 * @param {string} url URL from the request line
 * @returns {{path: string, query: string}}
 */
function splitUrl(url) {
  // A proxy may send the absolute form.
  const local = url.startsWith('/') ? url : url.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?]*/i, '');
  const mark = local.indexOf('?');
  return mark === -1
    ? { path: local || '/', query: '' }
    : { path: local.slice(0, mark) || '/', query: local.slice(mark + 1) };
}

/**
 * @param {ServerResponse} res
 * @returns {boolean} whether its connection has already closed, so that no event will follow
 */
function hasLeft(res) {
  return res.closed === true || /** @type {any} */ (res).stream?.destroyed === true;
}

/**
 * @param {HandlerDeps} deps
 * @returns {Handler}
 */
export function createHandler(deps) {
  const { routes, access, admins, memory, log } = deps;
  const router = new Router(routes);
  const authenticator = createAuthenticator(deps);

  /**
   * @param {import('./router.js').Endpoint} endpoint
   * @param {IncomingMessage} req
   * @param {Context['query']} query
   * @returns {Promise<Context['access']> | Context['access']}
   */
  function authorize({ auth = 'caller' }, req, query) {
    if (auth === 'none') return access.of(ANONYMOUS);
    if (auth === 'metrics' && !access.keyed) return access.of(ANONYMOUS);
    if (auth !== 'metrics') deps.checkOpen();
    if (auth === 'stream') return authenticator.byRequestOrUrl(req, query);
    return authenticator.byRequest(req);
  }

  /**
   * @param {IncomingMessage} req
   * @param {ServerResponse} res
   */
  function discard(req, res) {
    const { bodyIdleMs: idleMs, bodyBytesMax: bytesMax } = deps;
    const fail = (/** @type {unknown} */ error) => sendError(error, req, res, log);
    discardBody(req, res, { idleMs, bytesMax, fail });
  }

  /**
   * @param {import('./router.js').Endpoint} endpoint
   * @param {Exchange} exchange receives the body and its digest
   * @param {IncomingMessage} req
   * @param {ServerResponse} res
   * @returns {Promise<void> | void} a promise if the body has not arrived yet
   */
  function readBody(endpoint, exchange, req, res) {
    const { body: kind = 'none', bodyBytesMax: bytesMax = deps.bodyBytesMax, resource } = endpoint;
    const { principal } = exchange.access;
    const watch = { memory, principal, resource, idleMs: deps.bodyIdleMs, bytesMax };
    const onBytes = endpoint.digest
      ? (/** @type {Buffer} */ bytes) => {
          exchange.digest = digestOf(bytes);
        }
      : undefined;
    const readOptions = {
      optional: kind === 'optional-json',
      exact: kind === 'exact-json',
      onBytes,
    };
    const reading = guardBody(req, res, watch, () =>
      kind === 'bytes' ? readBytes(req, bytesMax) : readJson(req, bytesMax, readOptions),
    );
    return whenReady(reading, (body) => {
      exchange.body = body;
      // After a body-parsing middleware no bytes are left.
      if (endpoint.digest && exchange.digest === '') {
        exchange.digest = digestOf(JSON.stringify(body) ?? '');
      }
    });
  }

  /**
   * @param {import('./router.js').Found} found
   * @param {{prefix: string, queryString: string}} url
   * @param {IncomingMessage} req
   * @param {ServerResponse} res
   * @returns {Promise<void> | void} a promise if the answer must wait
   */
  function answer({ entry, params }, { prefix, queryString }, req, res) {
    return whenReady(entry.methods ?? entry.load(), (methods) => {
      const endpoint = endpointOf(methods, req.method);
      if (endpoint === undefined) throw methodNotAllowed(req.method, entry.allow);
      const exchange = new Exchange(params, parseQuery(queryString), prefix);
      return admit(endpoint, exchange, req, res);
    });
  }

  /**
   * @param {import('./router.js').Endpoint} endpoint
   * @param {Exchange} exchange
   * @param {IncomingMessage} req
   * @param {ServerResponse} res
   * @returns {Promise<void> | void} see `answer`
   */
  function admit(endpoint, exchange, req, res) {
    // Health checks may come from anywhere, and reveal nothing about callers.
    if (endpoint.auth !== 'none') checkOrigin(req, access.corsOrigins);
    return whenReady(authorize(endpoint, req, exchange.query), (caller) => {
      // Later parts wait for the end of the connection, but no part waits for the answer.
      if (hasLeft(res)) return undefined;
      exchange.access = caller;
      const { audit } = endpoint;
      if (audit === undefined) return serve(endpoint, exchange, req, res);
      const { principal } = caller;
      return recorded(
        deps.audit,
        audit,
        { res, principal, params: exchange.params },
        async (note) => {
          exchange.note = note;
          await serve(endpoint, exchange, req, res);
        },
      );
    });
  }

  /**
   * @param {import('./router.js').Endpoint} endpoint
   * @param {Exchange} exchange
   * @param {IncomingMessage} req
   * @param {ServerResponse} res
   * @returns {Promise<void> | void} see `answer`
   */
  function serve(endpoint, exchange, req, res) {
    const { auth, body = 'none' } = endpoint;
    if (auth === 'admin' || (auth === 'metrics' && access.keyed)) {
      admins.requireAdmin(req, exchange.access);
    }
    if (body === 'stream') return handOver(endpoint, exchange, req, res);
    if (body === 'none') {
      discard(req, res);
      return handOver(endpoint, exchange, req, res);
    }
    // Node parses the bytes that arrived with the head after the listeners of 'request' have returned.
    return PARSED.then(() =>
      whenReady(readBody(endpoint, exchange, req, res), () =>
        handOver(endpoint, exchange, req, res),
      ),
    );
  }

  /**
   * @param {import('./router.js').Endpoint} endpoint
   * @param {Exchange} exchange complete, except for its `baseUrl`
   * @param {IncomingMessage} req
   * @param {ServerResponse} res
   * @returns {Promise<void> | void} see `answer`
   */
  function handOver(endpoint, exchange, req, res) {
    if (hasLeft(res)) return undefined;
    exchange.baseUrl = mountPrefix(req, exchange.prefix, deps.trustProxy);
    return whenReady(endpoint.handle(req, res, exchange), () => {
      guardAnswer(res, { memory, principal: exchange.access.principal, stallMs: deps.stallMs });
    });
  }

  /**
   * @param {import('./router.js').Found} found
   * @param {IncomingMessage} req
   * @param {ServerResponse} res
   * @param {any} error
   * @returns {boolean} whether the client of a stream should reconnect, because Redis is away
   */
  function comesBack({ entry }, req, res, error) {
    const isStream = endpointOf(entry.methods, req.method)?.auth === 'stream';
    return isStream && error?.wireCode === 'storage_unavailable' && !res.headersSent;
  }

  return function handle(req, res, next) {
    const { path, query: queryString } = splitUrl(req.url ?? '/');
    const { found, prefix } =
      next === undefined ? router.findBelow(path) : { found: router.find(path), prefix: '' };
    const foreign = found === undefined || (found === 'malformed' && !path.startsWith(OWN_PREFIX));
    if (foreign && next !== undefined) {
      next();
      return;
    }
    setRequestId(req, res);
    if (handleCors(req, res, access.corsOrigins)) {
      discard(req, res);
      return;
    }
    setHeaders(res, HEADERS);
    const route = typeof found === 'object' ? found.entry.route : UNKNOWN_ROUTE;
    const fail = (/** @type {unknown} */ error) => {
      sendError(error, req, res, log);
      discard(req, res);
    };
    const refuse = (/** @type {unknown} */ error) => {
      if (typeof found === 'object' && comesBack(found, req, res, error)) {
        sendRetry(res, COME_BACK_MS);
      } else fail(error);
    };
    // The event is emitted only once.
    res.on('close', () => {
      if (res.headersSent) deps.onAnswer?.(route, res.statusCode);
    });
    const run = () => {
      if (found === undefined) fail(routeNotFound(req.method));
      else if (found === 'malformed') fail(badRequest('invalid_value', null, UNREADABLE));
      else {
        try {
          answer(found, { prefix, queryString }, req, res)?.catch(refuse);
        } catch (error) {
          refuse(error);
        }
      }
    };
    if (deps.onRequest === undefined) run();
    else deps.onRequest(req, res, route, run);
  };
}
