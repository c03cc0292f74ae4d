import { connectClient } from '../connection/client.js';

/** Wait before a subscription that was refused is tried again. */
const AGAIN_MS = 1000;

/**
 * @param {import('../connection/route.js').Route} route
 * @returns {import('../kv/change-feed.js').Subscribe} opens a connection for each subscription;
 *   it subscribes again after each reconnection
 */
export function subscriber(route) {
  return (channel, { onReady, onMessage }) => {
    const client = connectClient({ route, name: 'sluice-watch', autoResubscribe: false });
    let isClosed = false;
    const subscribe = () =>
      client.subscribe(channel).then(onReady, () => {
        // After a refusal or a cut a reconnection starts over.
        if (isClosed || client.status !== 'ready') return;
        setTimeout(
          () => !isClosed && client.status === 'ready' && void subscribe(),
          AGAIN_MS,
        ).unref();
      });
    client.on('ready', () => void subscribe());
    // The control connection reports the fault.
    client.on('error', () => {});
    client.on('messageBuffer', (_channel, message) => onMessage(message));
    return {
      close() {
        isClosed = true;
        client.disconnect();
      },
    };
  };
}
