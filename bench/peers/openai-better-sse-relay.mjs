/** A relay of the usual parts: the openai SDK in, better-sse on Express out. */
import { createSession } from 'better-sse';
import express from 'express';
import OpenAI from 'openai';
import { chatRequest, serve, upstreamUrl } from '../lib/server-settings.mjs';

const client = new OpenAI({ baseURL: `${upstreamUrl}/v1`, apiKey: 'none' });
const app = express();
app.get('/stream', async (req, res) => {
  const session = await createSession(req, res);
  const stream = await client.chat.completions.create(chatRequest);
  session.once('disconnected', () => stream.controller.abort());
  let seq = 0;
  for await (const chunk of stream) {
    const token = chunk.choices[0]?.delta?.content;
    if (!token) continue;
    seq += 1;
    session.push({ token }, 'token', `1-${seq}`);
  }
});
serve(app);
