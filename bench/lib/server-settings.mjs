/**
 * Settings that the runner passes to a server: by environment variables, so that peers in any language can read
 * them. Importing this module also starts the blocking of the main thread when it is asked for.
 */

export const intervalMs = Number(process.env.BENCH_INTERVAL_MS ?? 20);
export const upstreamUrl = `http://127.0.0.1:${process.env.BENCH_UPSTREAM_PORT ?? 0}`;
export const chatPath = '/v1/chat/completions';
export const chatRequest = {
  model: 'mock',
  messages: [{ role: /** @type {const} */ ('user'), content: 'bench' }],
  stream: /** @type {const} */ (true),
};

/** The head of a hand-written event stream. */
export const streamHeaders = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
};

/** One token as a hand-written SSE block. @param {string} text @param {number} seq */
export function frameOf(text, seq) {
  return `id: 1-${seq}\nevent: token\ndata: ${JSON.stringify({ token: text })}\n\n`;
}

/**
 * Listens on 127.0.0.1, on a port of the system's choice, and reports the port to the runner.
 * @param {{listen: (port: number, host: string, done: () => void) => import('node:http').Server}}
 *   app a node:http server or an Express application
 */
export function serve(app) {
  const server = app.listen(0, '127.0.0.1', () => {
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    console.log(`listening on http://127.0.0.1:${port}`);
  });
}

/** Keeps the main thread busy for that long in every second, as a careless handler would. */
const blockMs = Number(process.env.BENCH_BLOCK_MS ?? 0);
if (blockMs > 0) {
  setInterval(() => {
    const endMs = performance.now() + blockMs;
    while (performance.now() < endMs);
  }, 1000);
}
