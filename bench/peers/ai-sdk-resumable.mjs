/**
 * The AI SDK with resumable-stream on Redis, as the SDK's page "Chatbot Resume Streams" builds it, on node:http: POST
 * /api/chat, GET /api/chat/ID/stream, POST /api/chat/ID/stop. The table of chats, a database there, is in memory.
 * REDIS_URL names the Redis, BENCH_UPSTREAM_PORT the model.
 */
import http from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import '../lib/server-settings.mjs';
import { importPeer } from './packages.mjs';

const { convertToModelMessages, generateId, streamText, UI_MESSAGE_STREAM_HEADERS } =
  await importPeer('ai');
const { createOpenAICompatible } = await importPeer('@ai-sdk/openai-compatible');
const { createResumableStreamContext } = await importPeer('resumable-stream');

// A broken stream of the model leaves a rejected promise in the SDK, which Next.js logs and Node treats as fatal.
process.on('unhandledRejection', () => {});

const upstream = createOpenAICompatible({
  name: 'mock',
  baseURL: `http://127.0.0.1:${process.env.BENCH_UPSTREAM_PORT}/v1`,
});
const streams = createResumableStreamContext({ waitUntil: () => {} });

/** The active stream of each chat, and its work. @type {Map<string, {streamId?: string, work: AbortController}>} */
const chats = new Map();

/** @param {http.IncomingMessage} req @returns {Promise<any>} */
async function readJson(req) {
  let text = '';
  for await (const chunk of req.setEncoding('utf8')) text += chunk;
  return JSON.parse(text || '{}');
}

/** @param {http.ServerResponse} res @param {Response} response */
async function send(res, response) {
  res.writeHead(response.status, Object.fromEntries(response.headers));
  res.flushHeaders();
  if (response.body === null) res.end();
  // A disconnect ends only the client's own copy of the stream.
  else await pipeline(Readable.fromWeb(/** @type {any} */ (response.body)), res).catch(() => {});
}

/** @param {http.IncomingMessage} req @param {http.ServerResponse} res */
async function post(req, res) {
  const { id, messages, model = 'mock' } = await readJson(req);
  const work = new AbortController();
  chats.set(id, { work });
  const result = streamText({
    model: upstream(model),
    messages: await convertToModelMessages(messages),
    abortSignal: work.signal,
    onError: () => {},
  });
  const response = result.toUIMessageStreamResponse({
    originalMessages: messages,
    generateMessageId: generateId,
    onFinish: () => chats.delete(id),
    async consumeSseStream(/** @type {{stream: ReadableStream}} */ { stream }) {
      const streamId = generateId();
      await streams.createNewResumableStream(streamId, () => stream);
      const chat = chats.get(id);
      if (chat !== undefined) chat.streamId = streamId;
    },
  });
  await send(res, response);
}

/** @param {string} id @param {http.ServerResponse} res */
async function resume(id, res) {
  const { streamId } = chats.get(id) ?? {};
  const stream = streamId === undefined ? undefined : await streams.resumeExistingStream(streamId);
  if (!stream) {
    res.writeHead(204).end();
    return;
  }
  const body = stream.pipeThrough(new TextEncoderStream());
  await send(res, new Response(body, { headers: UI_MESSAGE_STREAM_HEADERS }));
}

const server = http.createServer(async (req, res) => {
  const [, id, action] = /^\/api\/chat\/([^/]+)\/(stream|stop)$/.exec(req.url ?? '') ?? [];
  try {
    if (action === 'stream') await resume(decodeURIComponent(id), res);
    else if (action === 'stop') {
      chats.get(decodeURIComponent(id))?.work.abort();
      chats.delete(decodeURIComponent(id));
      res.writeHead(200, { 'content-type': 'application/json' }).end('{"success":true}');
    } else await post(req, res);
  } catch (error) {
    console.error(error);
    if (!res.headersSent) res.writeHead(500);
    res.end();
  }
});
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  console.log(`listening on http://127.0.0.1:${port}`);
});
