/**
 * Known answers of upstreams, from the table that the native relay's test reads as well: each answer
 * over real HTTP, by both clients, with the ending of the job and the number of calls.
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

/**
 * Adjacent events of one kind, and of one call, as one item, as the table has them.
 * @param {any[]} events
 */
function itemsOf(events) {
  /** @type {any[]} */
  const items = [];
  /** @param {string} kind */
  const last = (kind) => {
    if (items.at(-1)?.kind !== kind) items.push({ kind, text: '' });
    return items.at(-1);
  };
  for (const { type, data } of events) {
    if (type === 'token') {
      const item = last('text');
      item.text += data.token;
      if (data.logprobs) (item.logprobs ??= []).push(data.logprobs);
    } else if (type === 'reasoning' || type === 'refusal') {
      last(type).text += data[type];
    } else if (type === 'tool_call' && data.id !== undefined) {
      const { id, name, arguments: begun } = data;
      items.push({ kind: 'tool_call', id, name, arguments: begun });
    } else if (type === 'tool_call') {
      expect(data.index).toBe(items.filter(({ kind }) => kind === 'tool_call').length - 1);
      items.at(-1).arguments += data.arguments;
    } else if (type === 'extra') {
      items.push({ kind: 'extra', delta: data.delta });
    }
  }
  return items;
}

/** The items of a row; by default its text alone. @param {any} row */
function expectedItems({ text, items }) {
  if (items === undefined) return text === '' ? [] : [{ kind: 'text', text }];
  return items.map((/** @type {any} */ item) =>
    item.id === 'call_*' ? { ...item, id: expect.stringMatching(/^call_[A-Za-z0-9]{24}$/) } : item,
  );
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
    let events = [];
    for await (const event of gateway.stream(id)) {
      events.push(event);
      if (event.type === 'job_retry') events = [];
    }
    const { text } = await gateway.get(id);
    const items = itemsOf(events);
    return { last: events.at(-1), items, text, calls: upstream.exchanges.length - before };
  }

  test.each(rows.map((row, index) => [row.name, index]))('%s', async (_, index) => {
    const row = rows[index];
    const { last, items, text, calls } = await run(index);
    expect(text).toBe(row.text);
    expect(items).toEqual(expectedItems(row));
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

  test('only whole answers that are not empty are kept for the next job', async () => {
    const isKept = (/** @type {any} */ row) =>
      ['stop', 'tool_calls'].includes(row.reason) && expectedItems(row).length > 0;
    for (const [index, row] of rows.entries()) {
      if (row.retryable) continue;
      await run(index, 'on');
      const { calls } = await run(index, 'on');
      expect([row.name, calls]).toEqual([row.name, isKept(row) ? 0 : 1]);
    }
  });
});
