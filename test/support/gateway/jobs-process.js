/**
 * A process that runs jobs against upstreams, one after the other: for settings that must be made before the
 * addon is loaded. `node jobs-process.js CLIENT`, over an IPC channel: `{baseUrl, prompt, waits}`
 * in, the job's ending out. Jobs of one `baseUrl` share a gateway. With `waits` the thread sends
 * 'waiting', blocks until a byte comes on the standard input, and submits the job before it
 * handles its sockets again.
 */
import { readSync } from 'node:fs';
import { createGateway, providers } from '../../../lib/index.js';

const client = /** @type {any} */ (process.argv[2]);
/** @type {Map<string, import('../../../lib/index.js').Gateway>} */
const gateways = new Map();

/** @param {string} baseUrl */
function gatewayFor(baseUrl) {
  let gateway = gateways.get(baseUrl);
  if (gateway === undefined) {
    const provider = providers.openai({ baseUrl, client, idleMs: 20_000 });
    gateway = createGateway({ provider, logger: false });
    gateways.set(baseUrl, gateway);
  }
  return gateway;
}

process.on('message', async (/** @type {any} */ { baseUrl, prompt, waits }) => {
  const gateway = gatewayFor(baseUrl);
  if (waits) {
    process.send?.('waiting');
    readSync(0, new Uint8Array(1));
  }
  const { id } = await gateway.submit({ prompt });
  let last;
  for await (const event of gateway.stream(id)) last = event;
  const { text } = /** @type {any} */ (await gateway.get(id));
  const attempt = Number(last.id.split('-', 1)[0]);
  process.send?.({ type: last.type, text, attempt, error: last.data.error });
});
process.send?.('ready');
