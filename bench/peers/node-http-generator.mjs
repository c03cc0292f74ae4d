/**
 * A generator written by hand on node:http. The argument selects the way: `timer` writes from the
 * timer's callback, `iterate` loops over the same async generator that Sluice runs.
 */
import { createServer } from 'node:http';
import { frameOf, intervalMs, serve, streamHeaders } from '../lib/server-settings.mjs';
import { pace, tokens } from '../lib/token.mjs';

/** @param {import('node:http').ServerResponse} res */
function timer(res) {
  const stop = pace(intervalMs, (text, seq) => res.write(frameOf(text, seq)));
  res.on('close', stop);
}

/** @param {import('node:http').ServerResponse} res */
async function iterate(res) {
  const left = new AbortController();
  res.on('close', () => left.abort());
  let seq = 0;
  for await (const text of tokens(intervalMs, left.signal)) {
    seq += 1;
    if (!left.signal.aborted) res.write(frameOf(text, seq));
  }
}

const stream = process.argv[2] === 'iterate' ? iterate : timer;
serve(
  createServer((_req, res) => {
    res.writeHead(200, streamHeaders);
    res.flushHeaders();
    void stream(res);
  }),
);
