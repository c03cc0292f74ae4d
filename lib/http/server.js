/**
 * The stand-alone server of `gateway.listen()`: the router, the page, and an end in finite time.
 */
import http from 'node:http';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import express from 'express';
import { cors } from './middleware/cors.js';
import {
  checkBoolean,
  checkInteger,
  checkOptions,
  checkString,
} from '../internal/util/validate.js';
import { HttpError } from '../internal/util/http-error.js';
import { errorMiddleware, routeNotFound } from './error-handler.js';
import { isHostName, isLoopback, isOwnHost } from '../internal/util/hosts.js';
import { kInternals } from '../internal/util/symbols.js';
import { rangeError, typeError } from '../internal/util/errors.js';
import { requestId } from './middleware/request-id.js';
import { AddressLimit, defaultMaxConnections, descriptorLimit } from './connection-limits.js';
import { StreamConnections } from './sse/socket-handoff.js';

/**
 * @typedef {import('node:http').Server & {url: string, port: number,
 *   drain: () => Promise<void>}} GatewayServer
 * `drain` stops accepting, lets open responses end, closes idle connections, and cuts what is
 * still open after a grace.
 *
 * @typedef {object} ListenOptions
 * @property {number} [port] default: a free one
 * @property {string} [host] default `127.0.0.1`; without keys another than this machine's own needs
 *   `open`
 * @property {boolean} [open] lets everybody in who reaches the port, under whatever name
 * @property {number} [maxConnections] connections at once; default: what the limit of open files leaves
 *   after a reserve. Further ones are closed at once
 * @property {number} [maxConnectionsPerAddress] of one client address; default no limit, for proxies
 *   share one
 * @property {string[]} [allowedHosts] names, without a port, that callers may use for this machine
 *   next to `localhost`, names of one label and addresses; looked at without keys alone
 */

const kWebRoot = fileURLToPath(new URL('../../web', import.meta.url));

/** How long responses may take to end after the last job has. */
const kDrainGraceMs = 2000;
const kIdleSweepMs = 25;

/** The page loads nothing from elsewhere and runs no inline script. */
const kPagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** @param {import('express').Response} res */
function pageHeaders(res) {
  res.set({
    'Content-Security-Policy': kPagePolicy,
    // Files have no fingerprint in their names: ask each time, the answer is mostly 304.
    'Cache-Control': 'no-cache',
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
  });
}

/** For those who look after the server, and may call it by any name. */
const kHealthPaths = ['/healthz', '/readyz'];

/**
 * Without keys it is the address alone that keeps others out, which a page gets round when its own
 * name resolves to that address: see isOwnHost.
 * @param {import('../gateway/gateway.js').Gateway} gateway
 * @param {readonly string[]} allowed
 * @returns {import('express').RequestHandler}
 */
function checkHost(gateway, allowed) {
  const { access, options } = gateway[kInternals];
  return (req, _res, next) => {
    const { host } = req.headers;
    // Keys may come with a reload.
    const guarded = !access.keyed && options.authenticate === undefined;
    if (!guarded || isOwnHost(host, allowed) || kHealthPaths.includes(req.path)) return next();
    throw new HttpError(403, {
      code: 'host_not_allowed',
      message:
        `Without keys this server does not answer to the host ${JSON.stringify(host)}, which may be ` +
        'a page of elsewhere: call it localhost, list the name in allowedHosts (--allowed-hosts), ' +
        'set keys up, or let everybody in with open (--open).',
    });
  };
}

/**
 * @param {import('../gateway/gateway.js').Gateway} gateway
 * @param {readonly string[] | undefined} allowedHosts undefined for all there are
 */
function createApp(gateway, allowedHosts) {
  const { access, log } = gateway[kInternals];
  const app = express();
  app.disable('x-powered-by');
  // The client may be loaded from here by a page of elsewhere.
  app.use(
    requestId,
    cors(() => access.corsOrigins),
  );
  if (allowedHosts !== undefined) app.use(checkHost(gateway, allowedHosts));
  app.use(gateway.router());
  app.use(
    express.static(kWebRoot, {
      extensions: ['html'],
      cacheControl: false,
      setHeaders: pageHeaders,
    }),
  );
  app.use((req) => {
    throw routeNotFound(req);
  });
  app.use(errorMiddleware(log));
  return app;
}

/**
 * The classes of an app's requests and responses, for the server to make them of. Express gives
 * each its own prototype otherwise, which leaves hidden classes in V8's old generation: most of the
 * garbage that a request leaves there, and with it the requests that they keep.
 * @param {import('express').Express} app
 * @returns {{IncomingMessage: typeof http.IncomingMessage,
 *   ServerResponse: typeof http.ServerResponse}}
 */
function messagesOf(app) {
  // Functions, because a class's prototype cannot be another object.
  /** @type {any} */
  const IncomingMessage = function (/** @type {any[]} */ ...given) {
    return Reflect.construct(http.IncomingMessage, given, IncomingMessage);
  };
  /** @type {any} */
  const ServerResponse = function (/** @type {any[]} */ ...given) {
    return Reflect.construct(http.ServerResponse, given, ServerResponse);
  };
  IncomingMessage.prototype = app.request;
  ServerResponse.prototype = app.response;
  return { IncomingMessage, ServerResponse };
}

/**
 * @param {string} host
 * @param {number} port
 */
function urlOf(host, port) {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/**
 * Whoever reaches a gateway without keys may use it; that should be no accident.
 * @param {import('../gateway/gateway.js').Gateway} gateway
 * @param {string} host
 * @param {boolean} open
 */
function checkReach(gateway, host, open) {
  const { access, options } = gateway[kInternals];
  if (open || access.keyed || options.authenticate !== undefined || isLoopback(host)) return;
  throw rangeError(
    `host takes a loopback address, not ${JSON.stringify(host)}, unless there are keys (access.keys) ` +
      'or authenticate, or open: true says that everybody may use the gateway',
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

/** @param {import('node:http').Server} server */
async function drain(server) {
  const closed = once(server, 'close');
  // Not listening: its user has closed it, and open connections are what it waits for.
  if (server.listening) server.close();
  // Connections become idle one by one, as their responses end.
  const sweep = setInterval(() => server.closeIdleConnections(), kIdleSweepMs);
  const cut = setTimeout(() => server.closeAllConnections(), kDrainGraceMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(cut);
}

/**
 * @param {import('node:http').Server} server
 * @param {import('../gateway/gateway.js').Gateway} gateway
 * @param {ListenOptions} options
 * @returns {AddressLimit | undefined} undefined: addresses have no limit
 */
function limitConnections(server, gateway, { maxConnections, maxConnectionsPerAddress }) {
  const { options, metrics } = gateway[kInternals];
  const refuse = (/** @type {'all' | 'address'} */ limit) => () =>
    metrics.refusedConnections.inc({ limit });
  // A stream that shares its connection with Node takes a second descriptor.
  const perConnection = options.egress === 'shared' ? 2 : 1;
  server.maxConnections = checkInteger('maxConnections', maxConnections, {
    fallback: defaultMaxConnections(descriptorLimit(), perConnection),
  });
  server.on('drop', refuse('all'));
  if (maxConnectionsPerAddress === undefined) return undefined;
  const max = checkInteger('maxConnectionsPerAddress', maxConnectionsPerAddress, { fallback: 1 });
  return new AddressLimit(server, max, refuse('address'));
}

/**
 * @param {import('../gateway/gateway.js').Gateway} gateway
 * @param {ListenOptions} [options]
 * @returns {Promise<GatewayServer>} listening
 */
export async function listen(gateway, options) {
  const { port: wanted, host = '127.0.0.1', ...more } = checkOptions('options', options);
  const port = checkInteger('port', wanted, { min: 0, max: 65535, fallback: 0 });
  checkString('host', host);
  const open = checkBoolean('open', more.open, false);
  const names = checkNames(more.allowedHosts);
  checkReach(gateway, host, open);
  const app = createApp(gateway, open ? undefined : [host.toLowerCase(), ...names]);
  const server = http.createServer(messagesOf(app), app);
  const addresses = limitConnections(server, gateway, more);
  const streams = new StreamConnections(server, addresses);
  server.listen({ port, host });
  await once(server, 'listening');
  // A connection that cannot be accepted (no descriptors left) must not end the others.
  const { log } = gateway[kInternals];
  log.info(
    { max_connections: server.maxConnections, descriptor_limit: descriptorLimit() },
    'listening',
  );
  server.on('error', (err) => log.error({ err }, 'server error'));
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
