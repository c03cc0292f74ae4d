/** Dialects whose servers cannot run here: the suite reads answers in the form of their documentation. */
import http from 'node:http';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { runConformance } from '../../../lib/conformance/index.js';

const load = (name) =>
  JSON.parse(
    readFileSync(new URL(`../../support/conformance/documented/${name}.json`, import.meta.url)),
  );

let server;
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function serve(listener) {
  server = http.createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${server.address().port}`;
}

function answerJson(res, { status, body }) {
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** llama-server: the bytes of a conversation's stream, from an offset on. */
function llamaServer({ headers, body, notFound, badOffset }) {
  const bytes = Buffer.from(body);
  const conversations = new Set();
  return (req, res) => {
    const url = new URL(req.url, 'http://x');
    const id = req.headers['x-conversation-id'] ?? url.searchParams.get('conv_id');
    const from = url.searchParams.get('from') ?? '0';
    if (req.method === 'POST') conversations.add(id);
    if (req.method === 'DELETE') {
      conversations.delete(id);
      return answerJson(res, { status: 200, body: { success: true } });
    }
    if (!conversations.has(id)) return answerJson(res, notFound);
    if (!/^\d+$/.test(from)) return answerJson(res, badOffset);
    return res.writeHead(200, headers).end(bytes.subarray(Number(from)));
  };
}

/** OpenAI: the events of a response after a sequence number. */
function openaiResponses({ id, headers, events, notFound }) {
  return (req, res) => {
    const url = new URL(req.url, 'http://x');
    if (req.method === 'GET' && !url.pathname.endsWith(id)) return answerJson(res, notFound);
    const after = Number(url.searchParams.get('starting_after') ?? -1);
    if (!Number.isInteger(after) || after < -1) return answerJson(res, { status: 400, body: {} });
    res.writeHead(200, headers);
    for (const event of events.slice(after + 1)) {
      res.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    }
    return res.end();
  };
}

const RULES = [
  ...['framing/content-type', 'framing/grammar', 'cursor/unique', 'cursor/every-cut'],
  ...['cursor/none', 'cursor/at-end', 'cursor/malformed', 'cursor/unknown-job'],
  ...['ending/one', 'ending/proper'],
];

test.each([
  ['llama.cpp', 'llama-server', llamaServer],
  ['responses', 'openai-responses', openaiResponses],
])('the dialect %s', async (adapter, name, answer) => {
  const documented = load(name);
  const url = await serve(answer(documented));
  const report = await runConformance({ url, adapter, only: RULES });
  expect(report.results.filter(({ status }) => status !== 'passed')).toEqual([]);
  expect(report.passed).toBe(RULES.length);
});

test.each([
  ['llama.cpp', 'llama-server', llamaServer],
  ['responses', 'openai-responses', openaiResponses],
])('the dialect %s: answers with faults fail', async (adapter, name, answer) => {
  const documented = load(name);
  // The stream ends without its last event.
  const broken = {
    ...documented,
    ...(documented.body && { body: documented.body.replace('data: [DONE]\n\n', '') }),
    ...(documented.events && { events: documented.events.slice(0, -1) }),
  };
  const url = await serve(answer(broken));
  const only = ['ending/one', 'cursor/every-cut', 'cursor/none'];
  const report = await runConformance({ url, adapter, only });
  expect(report.results.map(({ status }) => status)).toEqual(['failed', 'failed', 'failed']);
});
