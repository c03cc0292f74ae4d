/**
 * What upstreams are known to send, by the table that the native relay's test reads too: each answer
 * over real HTTP, by both clients, with what becomes of the job and how many calls it takes.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGateway, providers } from '../../../lib/index.js';
import { startMockUpstream } from '../../support/upstream/mock-upstream.js';

/** @type {any[]} */
const rows = JSON.parse(
  readFileSync(new URL('../../support/upstream/answers.json', import.meta.url), 'utf8'),
);

// The estimate that the table has: a token for four bytes.
const PROMPT_BYTES = 4000;

/** @param {any} exchange */
async function answer(exchange) {
  const [{ content }] = exchange.body.messages;
  const row = rows[Number(content.split(' ', 1)[0])];
  const { status = 200, type = 'text/event-stream', headers = {}, body, cut } = row;
  exchange.res.sendDate = false;
  exchange.open(status, { ...(type && { 'content-type': type }), ...headers });
  if (!cut) {
    exchange.res.end(body);
    return;
  }
  exchange.res.write(body);
  await sleep(20);
  exchange.cut();
}

describe.each(['native', 'undici'])('by %s', (client) => {
  let upstream;
  let gateway;
  beforeAll(async () => {
    upstream = await startMockUpstream(answer);
    const provider = providers.openai({
      baseUrl: upstream.url,
      client: /** @type {any} */ (client),
      apiKey: 'secret',
    });
    gateway = createGateway({
      provider,
      logger: false,
      retry: { attempts: 2, baseMs: 1, capMs: 1 },
      cache: { ttlMs: 60_000 },
    });
  });
  afterAll(async () => {
    await gateway.close({ drainMs: 0 });
    await upstream.close();
  });

  async function run(index, mode = 'off') {
    const before = upstream.exchanges.length;
    const prompt = `${index} `.padEnd(PROMPT_BYTES, 'x');
    const { id } = await gateway.submit({ prompt, cache: { mode } });
    let last;
    for await (const event of gateway.stream(id)) last = event;
    const { text } = await gateway.get(id);
    return { last, text, calls: upstream.exchanges.length - before };
  }

  test.each(rows.map((row, index) => [row.name, index]))('%s', async (_, index) => {
    const row = rows[index];
    const { last, text, calls } = await run(index);
    expect(text).toBe(row.text);
    if (row.error === undefined) {
      expect(last).toMatchObject({ type: 'job_complete', data: { reason: row.reason } });
      if (row.usage) expect(last.data.usage).toEqual(row.usage);
    } else {
      expect(last).toMatchObject({ type: 'job_error', data: { error: { code: row.error } } });
      expect(last.data.error.message).toContain(row.message);
      expect(last.data.error.message).not.toMatch(/secret|Traceback/);
    }
    // A 408 on a kept connection is answered by a call on a new one, attempt by attempt.
    if (row.status === 408) expect(calls).toBeGreaterThanOrEqual(2);
    else expect(calls).toBe(row.retryable ? 2 : 1);
  });

  test('only whole answers that have text are kept for the next job', async () => {
    const isKept = ({ reason, text }) => reason === 'stop' && text !== '';
    for (const [index, row] of rows.entries()) {
      if (row.retryable) continue;
      await run(index, 'on');
      const { calls } = await run(index, 'on');
      expect([row.name, calls]).toEqual([row.name, isKept(row) ? 0 : 1]);
    }
  });
});
