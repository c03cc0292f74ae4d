/** The stand-alone server of `gateway.listen()`: the router, the page, and a bounded shutdown. */
import http from 'node:http';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { AddressLimit, defaultMaxConnections, descriptorLimit } from './connection-limits.js';
import { HttpError } from '../internal/util/http-error.js';
import { LISTEN_OPTIONS } from './listen-options.js';
import { checkTable } from '../internal/util/option-table.js';
import { ListedHeadersResponse } from './listed-headers.js';
import { discardBody } from './middleware/body-guard.js';
import { demandAdminToken, digestOf } from './middleware/require-admin.js';
import { handleCors } from './middleware/cors.js';
import { isHostName, isLoopback, isOwnHost } from '../internal/util/hosts.js';
import { rangeError, typeError } from '../internal/util/errors.js';
import { routeNotFound, sendError } from './error-handler.js';
import { setHeaders } from './respond.js';
import { setRequestId } from './middleware/request-id.js';
import { sirv } from '../internal/util/packages.js';
import { StreamConnections } from './sse/socket-handoff.js';

/**
 * @typedef {import('node:http').Server & {url: string, port: number,
 *   drain: () => Promise<void>}} GatewayServer
 * `drain` stops accepting, waits for open responses, closes idle connections, and closes the
 * others after a grace period.
 *
 * @typedef {import('./listen-options.js').ListenOptions} ListenOptions
 */

const WEB_ROOT = fileURLToPath(new URL('../../web', import.meta.url));

/** Time limit for open responses after the end of the last job. */
const DRAIN_GRACE_MS = 2000;
const IDLE_SWEEP_MS = 25;
/** Default of headersTimeoutMs, above keepAliveTimeoutMs. */
const HEADERS_TIMEOUT_MORE_MS = 5000;

/** The page loads no resources from other origins and runs no inline scripts. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

const PAGE_HEADERS = Object.freeze({
  'Content-Security-Policy': PAGE_POLICY,
  // File names have no fingerprint: the browser revalidates each time, usually with a 304.
  'Cache-Control': 'no-cache',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
});

/** Health checks may call the server by any name. */
const HEALTH_PATHS = new Set(['/healthz', '/readyz']);

/**
 * Dependencies of the server.
 * @typedef {object} ServerDeps
 * @property {import('./handler.js').Handler} handler
 * @property {import('../jobs/policy/access-control.js').AccessControl} access
 * @property {Function} [authenticate]
 * @property {import('./sse/response.js').EgressMode} egress
 * @property {number} bodyIdleMs
 * @property {number} bodyBytesMax
 * @property {(limit: 'all' | 'address') => void} onRefused called for each connection beyond a
 *   limit
 * @property {import('../internal/util/logger.js').Logger} log
 */

/**
 * @param {readonly string[]} allowed
 * @returns {(host: string | undefined) => boolean} `isOwnHost` for these names; the last good header, which a client
 *   sends with each request, is not read again
 */
function createHostCheck(allowed) {
  /** @type {string | undefined} */
  let last;
  return (host) => {
    if (host !== undefined && host === last) return true;
    const isOwn = isOwnHost(host, allowed);
    if (isOwn) last = host;
    return isOwn;
  };
}

/**
 * Without keys only the listening address protects the gateway. A page of another origin could
 * bypass it by a name that resolves to this machine (DNS rebinding): see isOwnHost.
 * @param {ServerDeps} deps
 * @param {(host: string | undefined) => boolean} isOwn
 * @param {http.IncomingMessage} req
 * @throws {HttpError} 403
 */
function checkHost({ access, authenticate }, isOwn, { headers: { host }, url = '' }) {
  // A reload may add keys.
  if (access.keyed || authenticate !== undefined) return;
  if (isOwn(host) || HEALTH_PATHS.has(url.split('?', 1)[0])) return;
  throw new HttpError(403, {
    code: 'host_not_allowed',
    message:
      `Without keys this server does not answer to the host ${JSON.stringify(host)}, because the ` +
      'request may come from a page of another site (DNS rebinding). Use localhost, list the name ' +
      'in allowedHosts (--allowed-hosts), configure keys, or allow unauthenticated access with ' +
      'open (--open).',
  });
}

/**
 * Pages refer to their files relative to their own path, which has no trailing slash.
 * @param {http.IncomingMessage} req
 * @param {http.ServerResponse} res
 * @returns {boolean} whether the client was redirected to the path without the slash
 */
function redirectSlash({ url = '' }, res) {
  const [, segment, query] = /\/([^/?]+)\/(\?.*)?$/.exec(url) ?? [];
  if (segment === undefined) return false;
  res.writeHead(308, { Location: `../${segment}${query ?? ''}` }).end();
  return true;
}

/**
 * The gateway's handler, then the files of the page.
 * @param {ServerDeps} deps
 * @param {readonly string[] | undefined} allowedHosts undefined: all
 * @param {string | undefined} adminToken undefined: none is needed
 * @returns {http.RequestListener}
 */
function createListener(deps, allowedHosts, adminToken) {
  const { access, handler, log } = deps;
  const files = sirv()(WEB_ROOT, {
    etag: true,
    dev: false,
    extensions: ['html'],
    setHeaders: (res) => setHeaders(res, PAGE_HEADERS),
  });
  const digest = adminToken === undefined ? undefined : digestOf(adminToken);
  const { bodyIdleMs: idleMs, bodyBytesMax: bytesMax } = deps;
  /** @param {http.IncomingMessage} req @param {http.ServerResponse} res */
  const discard = (req, res) => {
    const fail = (/** @type {unknown} */ error) => sendError(error, req, res, log);
    discardBody(req, res, { idleMs, bytesMax, fail });
  };
  /** @param {http.IncomingMessage} req @param {http.ServerResponse} res */
  const sendFile = (req, res) => {
    const notFound = () => sendError(routeNotFound(req.method), req, res, log);
    discard(req, res);
    if (req.method !== 'GET' && req.method !== 'HEAD') notFound();
    else if (!redirectSlash(req, res)) files(req, res, notFound);
  };
  const isOwn = allowedHosts && createHostCheck(allowedHosts);
  return (req, res) => {
    if (digest !== undefined) demandAdminToken(req, digest);
    setRequestId(req, res);
    // A page of another origin may load the client from here.
    if (handleCors(req, res, access.corsOrigins)) {
      discard(req, res);
      return;
    }
    try {
      if (isOwn !== undefined) checkHost(deps, isOwn, req);
      handler(req, res, () => sendFile(req, res));
    } catch (error) {
      sendError(error, req, res, log);
      discard(req, res);
    }
  };
}

/**
 * @param {string} host
 * @param {number} port
 */
function urlOf(host, port) {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/**
 * Requires `open` for a gateway without keys on a reachable address.
 * @param {ServerDeps} deps
 * @param {string} host
 * @param {boolean} open
 */
function checkReach({ access, authenticate }, host, open) {
  if (open || access.keyed || authenticate !== undefined || isLoopback(host)) return;
  throw rangeError(
    `host takes a loopback address, not ${JSON.stringify(host)}, unless there are keys (access.keys) ` +
      'or authenticate, or open: true to allow unauthenticated access from other machines',
  );
}

/** @param {unknown} value */
function checkNames(value = []) {
  const takes = 'allowedHosts takes an array of names';
  if (!Array.isArray(value)) throw typeError(takes);
  for (const name of value) {
    if (typeof name !== 'string') throw typeError(takes);
    if (!isHostName(name)) {
      throw rangeError(`${takes}, without scheme or port, not ${JSON.stringify(name)}`);
    }
  }
  return value.map((name) => name.toLowerCase());
}

/** @param {string} [token] */
function checkToken(token) {
  if (token === undefined || /^[\x21-\x7e]+$/.test(token)) return;
  throw rangeError('adminToken takes a token of visible ASCII characters');
}

/**
 * A proxy may send a request while the server closes the idle connection, and then answers 502. So the
 * server keeps connections longer than proxies, and the time limit for a head, which Node counts from the end
 * of the previous answer, is even longer.
 * @param {import('node:http').Server} server
 * @param {ListenOptions} options checked
 */
function setTimeouts(server, { keepAliveTimeoutMs = 0, headersTimeoutMs }) {
  const headersMs = headersTimeoutMs ?? keepAliveTimeoutMs + HEADERS_TIMEOUT_MORE_MS;
  if (headersMs <= keepAliveTimeoutMs) {
    throw rangeError(
      `headersTimeoutMs takes more than keepAliveTimeoutMs (${keepAliveTimeoutMs}), not ${headersMs}`,
    );
  }
  server.keepAliveTimeout = keepAliveTimeoutMs;
  server.headersTimeout = headersMs;
  server.requestTimeout = Math.max(server.requestTimeout, headersMs);
}

/** @param {import('node:http').Server} server */
async function drain(server) {
  const closed = once(server, 'close');
  // Not listening: the user has closed the server, which waits for open connections.
  if (server.listening) server.close();
  // Connections become idle one by one, as their responses end.
  const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS);
  const cut = setTimeout(() => server.closeAllConnections(), DRAIN_GRACE_MS);
  await closed;
  clearInterval(sweep);
  clearTimeout(cut);
}

/**
 * @param {import('node:http').Server} server
 * @param {ServerDeps} deps
 * @param {ListenOptions} options
 * @returns {AddressLimit | undefined} undefined: no limit per address
 */
function limitConnections(server, deps, { maxConnections, maxConnectionsPerAddress }) {
  const refuse = (/** @type {'all' | 'address'} */ limit) => () => deps.onRefused(limit);
  // A stream that shares its connection with Node takes a second descriptor.
  const perConnection = deps.egress === 'shared' ? 2 : 1;
  server.maxConnections = maxConnections ?? defaultMaxConnections(descriptorLimit(), perConnection);
  server.on('drop', refuse('all'));
  if (maxConnectionsPerAddress === undefined) return undefined;
  return new AddressLimit(server, maxConnectionsPerAddress, refuse('address'));
}

/**
 * @param {ServerDeps} deps
 * @param {ListenOptions} [options]
 * @returns {Promise<GatewayServer>} listening
 */
export async function listen(deps, options) {
  const checked = checkTable('listen', LISTEN_OPTIONS, options);
  const { port, host, open, allowedHosts, adminToken } = checked;
  checkToken(adminToken);
  const names = checkNames(allowedHosts);
  checkReach(deps, host, open);
  const allowed = open ? undefined : [host.toLowerCase(), ...names];
  const server = http.createServer(
    { ServerResponse: /** @type {any} */ (ListedHeadersResponse) },
    createListener(deps, allowed, adminToken),
  );
  setTimeouts(server, checked);
  const addresses = limitConnections(server, deps, checked);
  const streams = new StreamConnections(server, addresses);
  server.listen({ port, host });
  await once(server, 'listening');
  // A connection that cannot be accepted (no descriptors left) must not end the others.
  server.on('error', (err) => deps.log.error({ err }, 'server error'));
  const bound = /** @type {import('node:net').AddressInfo} */ (server.address());
  return Object.assign(server, {
    url: urlOf(host, bound.port),
    port: bound.port,
    drain: () => drain(server),
    closeAllConnections() {
      http.Server.prototype.closeAllConnections.call(server);
      streams.closeAll();
    },
    closeIdleConnections() {
      http.Server.prototype.closeIdleConnections.call(server);
      streams.closeIdle();
    },
  });
}
