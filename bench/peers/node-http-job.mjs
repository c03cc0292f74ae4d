/**
 * The two requests of a job, answered by node:http alone: a POST whose body is parsed, and a GET that
 * streams the number of tokens requested by the POST. Nothing is checked, limited, logged or stored.
 */
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';
import { frameOf, serve, streamHeaders } from '../lib/server-settings.mjs';
import { burst } from '../lib/token.mjs';

/** @type {Map<string | null, number>} tokens of each job */
const jobs = new Map();

/**
 * @param {import('node:http').ServerResponse} res
 * @param {string} text of the request's body
 */
function create(res, text) {
  const id = `job_${randomUUID()}`;
  jobs.set(id, Number(JSON.parse(text).prompt));
  const body = JSON.stringify({ job_id: id, stream_url: `/v1/stream?job_id=${id}` });
  res.writeHead(201, { 'Content-Type': 'application/json', 'Content-Length': body.length });
  res.end(body);
}

/**
 * @param {import('node:http').ServerResponse} res
 * @param {string} url
 */
async function stream(res, url) {
  const id = new URLSearchParams(url.slice(url.indexOf('?'))).get('job_id');
  const count = jobs.get(id) ?? 0;
  jobs.delete(id);
  res.writeHead(200, streamHeaders);
  let seq = 0;
  for await (const text of burst(count)) {
    seq += 1;
    res.write(frameOf(text, seq));
  }
  res.end(`id: 1-${seq + 1}\nevent: job_complete\ndata: {"reason":"stop"}\n\n`);
}

serve(
  createServer((req, res) => {
    if (req.method !== 'POST') {
      void stream(res, req.url ?? '');
      return;
    }
    let text = '';
    req.setEncoding('utf8');
    req.on('data', (part) => (text += part));
    req.on('end', () => create(res, text));
  }),
);
