/** One source, many readers: the block is made once, and written to each by `res.write`. */
import { createServer } from 'node:http';
import { frameOf, intervalMs, serve, streamHeaders } from '../lib/server-settings.mjs';
import { pace } from '../lib/token.mjs';

/** @type {Set<import('node:http').ServerResponse>} */
const readers = new Set();
pace(intervalMs, (text, seq) => {
  const frame = frameOf(text, seq);
  for (const res of readers) res.write(frame);
});
serve(
  createServer((_req, res) => {
    res.writeHead(200, streamHeaders);
    res.flushHeaders();
    readers.add(res);
    res.on('close', () => readers.delete(res));
  }),
);
