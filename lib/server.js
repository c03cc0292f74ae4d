/**
 * The stand-alone server of `gateway.listen()`: the router, the page, and an end in finite time.
 */
import http from 'node:http';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import express from 'express';
import { cors } from './cors.js';
import { checkBoolean, checkInteger, checkOptions, checkString } from './validate.js';
import { errorMiddleware, routeNotFound } from './http-errors.js';
import { isLoopback } from './hosts.js';
import { kInternals } from './symbols.js';
import { rangeError } from './errors.js';
import { requestId } from './request-id.js';
import { StreamConnections } from './stream-connections.js';

/**
 * @typedef {import('node:http').Server & {url: string, port: number,
 *   drain: () => Promise<void>}} GatewayServer
 * `drain` stops accepting, lets open responses end, closes idle connections, and cuts what is
 * still open after a grace.
 */

const kWebRoot = fileURLToPath(new URL('../web', import.meta.url));

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

/** @param {import('./gateway.js').Gateway} gateway */
function createApp(gateway) {
  const { access, log } = gateway[kInternals];
  const app = express();
  app.disable('x-powered-by');
  // The client may be loaded from here by a page of elsewhere.
  app.use(
    requestId,
    cors(() => access.corsOrigins),
  );
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
 * @param {import('./gateway.js').Gateway} gateway
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
 * @param {import('./gateway.js').Gateway} gateway
 * @param {{port?: number, host?: string, open?: boolean}} [options]
 * @returns {Promise<GatewayServer>} listening
 */
export async function listen(gateway, options) {
  const { port: wanted, host = '127.0.0.1', open } = checkOptions('options', options);
  const port = checkInteger('port', wanted, { min: 0, max: 65535, fallback: 0 });
  checkString('host', host);
  checkReach(gateway, host, checkBoolean('open', open, false));
  const app = createApp(gateway);
  const server = http.createServer(messagesOf(app), app);
  const streams = new StreamConnections(server);
  server.listen({ port, host });
  await once(server, 'listening');
  // A connection that cannot be accepted (no descriptors left) must not end the others.
  const { log } = gateway[kInternals];
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
