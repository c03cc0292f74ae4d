/**
 * The stand-alone server of `gateway.listen()`: the router, the page, and an end in finite time.
 */
import { createServer } from 'node:http';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import express from 'express';
import { checkInteger, checkOptions, checkString } from './validate.js';
import { errorMiddleware, routeNotFound } from './http-errors.js';
import { kInternals } from './symbols.js';
import { requestId } from './request-id.js';

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
  const { log } = gateway[kInternals];
  const app = express();
  app.disable('x-powered-by');
  app.use(requestId);
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
 * @param {string} host
 * @param {number} port
 */
function urlOf(host, port) {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
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
 * @param {{port?: number, host?: string}} [options]
 * @returns {Promise<GatewayServer>} listening
 */
export async function listen(gateway, options) {
  const { port: wanted, host = '127.0.0.1' } = checkOptions('options', options);
  const port = checkInteger('port', wanted, { min: 0, max: 65535, fallback: 0 });
  checkString('host', host);
  const server = createServer(createApp(gateway));
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
  });
}
