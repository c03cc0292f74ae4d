import { connectorFor } from './connector.js';
import { ioredis } from '../../internal/util/packages.js';

/** First wait before a reconnection, doubled each time up to the second value. */
const RETRY_MS = 50;
const RETRY_MS_MAX = 1000;
const CONNECT_MS = 2000;

/**
 * @param {object} options
 * @param {import('./route.js').Route} options.route
 * @param {string} options.name of the connection, in `CLIENT LIST`
 * @param {number} [options.commandTimeoutMs] default: none
 * @param {boolean} [options.autoResubscribe] default true
 * @returns {import('ioredis').Redis} a client that is connecting, and reconnects after each loss. It queues
 *   nothing, and sends nothing twice
 */
export function connectClient({ route, name, commandTimeoutMs, autoResubscribe = true }) {
  const { user, password, db } = route.address;
  const { Redis } = ioredis();
  return new Redis({
    ...{ db, protocol: 2, connectionName: name, disableClientInfo: true },
    Connector: connectorFor(route.locator, route.tls),
    // `connect` follows the TLS handshake; the connector has the TLS options.
    tls: route.tls && {},
    username: user || undefined,
    password: password || undefined,
    ...(commandTimeoutMs !== undefined && { commandTimeout: commandTimeoutMs }),
    autoResubscribe,
    connectTimeout: CONNECT_MS,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    retryStrategy: (attempt) => {
      const waitMs = Math.min(RETRY_MS * 2 ** (attempt - 1), RETRY_MS_MAX);
      return Math.round(waitMs * (0.5 + Math.random() / 2));
    },
  });
}
