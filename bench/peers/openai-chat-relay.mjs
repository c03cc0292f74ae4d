/** Chat completions relayed by hand: the openai SDK, which reads with undici, and `res.write`. */
import { createServer } from 'node:http';
import OpenAI from 'openai';
import { serve, streamHeaders, upstreamUrl } from '../lib/server-settings.mjs';

const client = new OpenAI({ baseURL: `${upstreamUrl}/v1`, apiKey: 'none' });

/** @param {import('node:http').IncomingMessage} req @returns {Promise<any>} */
async function bodyOf(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

serve(
  createServer(async (req, res) => {
    const body = await bodyOf(req);
    /** @type {import('openai').OpenAI.ChatCompletionCreateParamsStreaming} */
    const request = { ...body, stream: true };
    const stream = await client.chat.completions.create(request);
    res.on('close', () => stream.controller.abort());
    res.writeHead(200, streamHeaders);
    for await (const chunk of stream) {
      if (res.write(`data: ${JSON.stringify(chunk)}\n\n`)) continue;
      await new Promise((resolve) => res.once('drain', resolve));
    }
    res.end('data: [DONE]\n\n');
  }),
);
