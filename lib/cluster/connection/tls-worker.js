/**
 * The worker thread of a TlsRelay. Its data: `tls`, options; `expected`, the bytes that a connection must
 * begin with; `login`, the bytes that replace them. It posts its port once; each message to it is the address
 * of the server from then on.
 */
import { timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { connectionOptions } from './tls-options.js';
import { open } from './connector.js';

const LOGIN_MS = 2000;
const KEEP_ALIVE_MS = 15_000;
/** Bounds the connections that unknown programs may open. */
const CONNECTIONS_MAX = 64;

const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);
const tls = connectionOptions(workerData.tls);
const expected = Buffer.from(workerData.expected);

/** @type {import('./address.js').Endpoint} */
let endpoint;
/** Accepted connections, and those to Redis. @type {Set<import('node:net').Socket>} */
const relayed = new Set();

/** @param {import('node:net').Socket} local */
function relay(local) {
  const remote = open(endpoint, tls);
  const cut = () => {
    for (const socket of [local, remote]) {
      relayed.delete(socket);
      socket.destroy();
    }
  };
  for (const socket of [local, remote]) {
    relayed.add(socket);
    socket.setNoDelay(true);
    socket.on('error', cut);
    socket.on('close', cut);
  }
  remote.setKeepAlive(true, KEEP_ALIVE_MS);
  remote.write(workerData.login);
  local.pipe(remote);
  remote.pipe(local);
}

/**
 * Waits for the secret, then passes on the bytes that follow.
 * @param {import('node:net').Socket} local
 */
function admit(local) {
  let head = Buffer.alloc(0);
  local.setTimeout(LOGIN_MS, () => local.destroy());
  local.on('error', () => local.destroy());
  local.on('data', function take(bytes) {
    head = Buffer.concat([head, bytes]);
    if (head.length < expected.length) return;
    local.off('data', take);
    local.pause();
    if (!timingSafeEqual(head.subarray(0, expected.length), expected)) {
      local.destroy();
      return;
    }
    local.setTimeout(0);
    local.unshift(head.subarray(expected.length));
    relay(local);
  });
}

port.on('message', (to) => {
  const before = endpoint;
  endpoint = to;
  if (before === undefined || (before.host === to.host && before.port === to.port)) return;
  for (const socket of [...relayed]) socket.destroy();
});
const server = createServer(admit);
server.maxConnections = CONNECTIONS_MAX;
server.listen(0, '127.0.0.1', () => {
  port.postMessage(/** @type {import('node:net').AddressInfo} */ (server.address()).port);
});
