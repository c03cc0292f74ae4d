import { once } from 'node:events';
import { writeStreamHead } from './response.js';

/**
 * Streams changes of keys as server-sent events, at the pace of the socket. Ends when the client
 * leaves, when the changes end, or after `event: gap` when the client falls too far behind: it must
 * then read the keys again. Main thread.
 * @param {import('node:http').ServerResponse} res with nothing written yet
 * @param {object} options
 * @param {(signal: AbortSignal) => AsyncIterable<{event: string, data: object}>} options.changes
 * @param {number} options.heartbeatMs of silence before a comment is sent
 * @param {number} options.stallMs time-out of a full socket
 * @param {number} options.reconnectMs
 */
export async function streamChanges(res, { changes, heartbeatMs, stallMs, reconnectMs }) {
  const gone = new AbortController();
  res.once('close', () => gone.abort());
  const source = changes(gone.signal);
  writeStreamHead(res);
  /** @param {string} frame */
  const write = async (frame) => {
    if (res.write(frame)) return;
    const cut = setTimeout(() => res.destroy(), stallMs).unref();
    await once(res, 'drain', { signal: gone.signal }).finally(() => clearTimeout(cut));
  };
  // A single line end: some clients read an empty line after a comment as an empty message.
  const beat = setInterval(() => res.writableNeedDrain || res.write(': keep-alive\n'), heartbeatMs);
  try {
    await write(`retry: ${reconnectMs}\n`);
    for await (const { event, data } of source) {
      await write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
      beat.refresh();
    }
    res.end();
  } catch (/** @type {any} */ error) {
    if (gone.signal.aborted) return;
    if (error?.code === 'ERR_WATCH_OVERFLOW') res.write('event: gap\ndata: {}\n\n');
    res.end();
  } finally {
    clearInterval(beat);
    gone.abort();
  }
}
