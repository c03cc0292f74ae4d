import { PacedWriter } from './paced-writer.js';
import { writeStreamHead } from './head.js';

/**
 * Streams the values of an iterator as server-sent events, at the pace of the socket. Ends when the client
 * disconnects, when the iterator ends, or after `event: gap` if a client that watches keys falls too far
 * behind: it must then read the keys again. Main thread.
 * @param {import('node:http').ServerResponse} res with nothing written yet
 * @param {object} options
 * @param {(signal: AbortSignal) => AsyncIterable<{event: string, data: object}>} options.events
 * @param {() => Promise<void>} [options.ready] resolves once the iterator receives all changes; the head is then
 *   written
 * @param {number} options.heartbeatMs of silence before a comment is sent
 * @param {number} options.stallMs time-out of a full socket
 * @param {number} options.reconnectMs
 */
export async function streamIterated(res, options) {
  const { events, ready, heartbeatMs, stallMs, reconnectMs } = options;
  const writer = new PacedWriter(res, { heartbeatMs, stallMs });
  const source = events(writer.gone);
  try {
    await ready?.();
  } catch (error) {
    writer.stop();
    throw error;
  }
  if (writer.gone.aborted) return;
  writeStreamHead(res);
  writer.start();
  try {
    await writer.write(`retry: ${reconnectMs}\n`);
    for await (const { event, data } of source) {
      await writer.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    }
    res.end();
  } catch (/** @type {any} */ error) {
    if (writer.gone.aborted) return;
    if (error?.code !== 'ERR_WATCH_OVERFLOW') throw error;
    res.write('event: gap\ndata: {}\n\n');
    res.end();
  } finally {
    writer.stop();
  }
}
