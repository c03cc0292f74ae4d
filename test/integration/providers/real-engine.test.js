/**
 * A real engine as upstream: llama.cpp behind an OpenAI-style HTTP server, `sluice serve
 * --provider openai` in between, each a process of its own.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { client } from '../../support/gateway/gateway.js';
import { tinyLlama } from '../../support/providers/tiny-llama.js';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

/** @type {import('node:child_process').ChildProcess[]} */
const processes = [];
afterEach(async () => {
  for (const child of processes.splice(0).reverse()) {
    if (child.exitCode !== null) continue;
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    await exit;
  }
});

/** Starts a server that prints its address. */
async function start(script, ...args) {
  const child = spawn(process.execPath, [path(script), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  processes.push(child);
  let complaints = '';
  child.stderr.on('data', (chunk) => (complaints += chunk));
  const exit = once(child, 'exit').then(() => {
    throw new Error(`${script} ended before it listened: ${complaints}`);
  });
  exit.catch(() => {});
  const [line] = await Promise.race([once(createInterface(child.stdout), 'line'), exit]);
  return line.replace('listening on ', '');
}

test.each(['chat', 'completions'])(
  'eight prompts in %s mode become eight whole streams of the engine’s own tokens',
  async (mode) => {
    const engine = await start('../../support/providers/llama-openai-server.mjs', tinyLlama());
    const flags = ['--provider', 'openai', '--upstream', engine, '--model', 'tiny', '--mode', mode];
    const limits = ['--max-concurrency', '8', '--port', '0'];
    const { submit, read, job } = client(
      await start('../../../lib/cli/main.js', 'serve', ...flags, ...limits),
    );
    const words = ['water', 'river', 'gate', 'stream', 'mill', 'sea', 'rain', 'field'];
    const texts = await Promise.all(
      words.map(async (word) => {
        const { body } = await submit({ prompt: `Tell of the ${word}`, max_tokens: 24 });
        const stream = await read(body.stream_url);
        expect(stream.last()).toMatchObject({
          type: 'job_complete',
          data: { reason: 'length', usage: { completion_tokens: 24 } },
        });
        expect(stream.ids).toEqual(
          Array.from({ length: stream.ids.length }, (_, i) => `1-${i + 1}`),
        );
        expect(await job(body.job_id)).toMatchObject({
          status: 'completed',
          text: stream.text,
          model: 'tiny',
        });
        return stream.text;
      }),
    );
    // Random weights, sampled: word salad, and never the same for eight prompts.
    expect(new Set(texts).size).toBe(8);
    for (const text of texts) expect(text).toMatch(/^[\x20-\x7e]{24,}$/);
  },
);
