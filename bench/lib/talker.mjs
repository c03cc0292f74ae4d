/** A model in this process that streams until its client disconnects. */
import { once } from 'node:events';
import http from 'node:http';
import { performance } from 'node:perf_hooks';

/**
 * @typedef {object} Talker
 * @property {number} port
 * @property {Promise<number>} leftAt of the latest call: resolves with the time of its client's disconnect
 * @property {() => void} close
 */

/** Chunks have the members that strict clients require. */
const HEAD = { id: 'chatcmpl-bench', object: 'chat.completion.chunk', created: 1, model: 'mock' };

/**
 * @param {object} options
 * @param {number} options.intervalMs between two deltas
 * @param {(n: number) => string} [options.text] of the delta with a number, from 0
 * @returns {Promise<Talker>}
 */
export async function startTalker({ intervalMs, text = () => 'word ' }) {
  /** @type {(atMs: number) => void} */
  let resolveLeft = () => {};
  const server = http.createServer((req, res) => {
    talker.leftAt = new Promise((resolve) => (resolveLeft = resolve));
    const onLeave = resolveLeft;
    let n = 0;
    req.resume();
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    const timer = setInterval(() => {
      if (res.writableNeedDrain) return;
      const choices = [{ index: 0, delta: { content: text(n++) }, finish_reason: null }];
      res.write(`data: ${JSON.stringify({ ...HEAD, choices })}\n\n`);
    }, intervalMs);
    req.socket.once('close', () => {
      clearInterval(timer);
      onLeave(performance.now());
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  /** @type {Talker} */
  const talker = {
    port,
    leftAt: Promise.resolve(0),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
  return talker;
}
