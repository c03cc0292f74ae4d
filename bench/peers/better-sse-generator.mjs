/** A generator with better-sse on Express. */
import { createSession } from 'better-sse';
import express from 'express';
import { intervalMs, serve } from '../lib/server-settings.mjs';
import { pace } from '../lib/token.mjs';

const app = express();
app.get('/stream', async (req, res) => {
  const session = await createSession(req, res);
  const stop = pace(intervalMs, (token, seq) => session.push({ token }, 'token', `1-${seq}`));
  session.once('disconnected', stop);
});
serve(app);
