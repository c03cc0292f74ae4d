/**
 * A process that runs jobs against upstreams, one after the other: for what has to be set before the
 * addon is loaded. `node jobs-process.js CLIENT`, over an IPC channel: `{baseUrl, prompt, waitMs}`
 * in, the job's ending out. Jobs of one `baseUrl` share a gateway. With `waitMs` the thread stands
 * still for that long, and submits the job before it looks at its sockets again.
 */
import { createGateway, providers } from '../../../lib/index.js';

const client = /** @type {any} */ (process.argv[2]);
const flag = new Int32Array(new SharedArrayBuffer(4));
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

process.on('message', async (/** @type {any} */ { baseUrl, prompt, waitMs = 0 }) => {
  const gateway = gatewayFor(baseUrl);
  if (waitMs > 0) {
    process.send?.('waiting');
    Atomics.wait(flag, 0, 0, waitMs);
  }
  const { id } = await gateway.submit({ prompt });
  let last;
  for await (const event of gateway.stream(id)) last = event;
  const { text } = /** @type {any} */ (await gateway.get(id));
  const attempt = Number(last.id.split('-', 1)[0]);
  process.send?.({ type: last.type, text, attempt, error: last.data.error });
});
process.send?.('ready');
