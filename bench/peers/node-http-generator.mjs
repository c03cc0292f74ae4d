/** A generator as one writes it by hand: a timer and `res.write` on node:http. */
import { createServer } from 'node:http';
import { frameOf, intervalMs, serve, streamHeaders } from '../lib/server-settings.mjs';
import { pace } from '../lib/token.mjs';

serve(
  createServer((_req, res) => {
    res.writeHead(200, streamHeaders);
    res.flushHeaders();
    const stop = pace(intervalMs, (text, seq) => res.write(frameOf(text, seq)));
    res.on('close', stop);
  }),
);
