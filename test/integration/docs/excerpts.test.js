/**
 * Excerpts of JavaScript in README and docs, run as printed: the test defines for each excerpt the
 * names that it omits. Whole programs run in the other files of this folder.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { DurableStream } from '@durable-streams/client';
import { EventSource } from 'eventsource';
import express from 'express';
import { Webhook } from 'standardwebhooks';
import * as conformance from '../../../lib/conformance/index.js';
import * as sluice from '../../../lib/index.js';
import * as web from '../../../web/client.js';
import { closeSites, site } from '../../support/upstream/site.js';
import { cleanUp, start, stopAll } from '../../support/gateway/gateway.js';
import { echo } from '../../support/providers/providers.js';
import { startRedis } from '../../support/cluster/redis.js';
import { which } from '../../../scripts/lib/run.mjs';

const root = new URL('../../../', import.meta.url);
const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor;
const { KvStore } = sluice;

/** @param {string} page @returns {string[]} the code of its blocks of JavaScript */
function blocksOf(page) {
  const text = readFileSync(new URL(page, root), 'utf8');
  return [...text.matchAll(/^```js\n(.*?)^```/gms)].map(([, code]) => code);
}

const logged = jest.fn();
const output = { append: jest.fn() };

/**
 * Runs an excerpt. Its imports are those names of `names`, or of the package.
 * @param {string} code
 * @param {Record<string, unknown>} names
 */
async function run(code, names) {
  const all = { console: { log: logged, error: logged }, ...sluice, ...conformance, ...names };
  const body = code.replace(/^import .*$/gm, '');
  // A name declared by the excerpt itself is not defined.
  const given = Object.keys(all).filter(
    (name) => !new RegExp(`\\b(?:const|let) \\{?[^=;]*\\b${name}\\b[^=;]*=`).test(body),
  );
  await new AsyncFunction(...given, body)(...given.map((name) => all[name]));
}

const fast = { ...sluice.providers, demo: () => sluice.providers.demo({ tokenIntervalMs: 0 }) };
const anyPort = (/** @type {string} */ code) => code.replace('port: 8080', 'port: 0');

/** A gateway that the excerpt calls `gateway`. */
async function gatewayOf(options) {
  const { gateway, url } = await start({ provider: echo, ...options });
  return { gateway, url };
}

/** Creates gateways that the test closes. */
function createGateway(options) {
  const gateway = sluice.createGateway({ logger: false, ...options });
  cleanUp(() => gateway.close({ drainMs: 0 }));
  return gateway;
}

const inRedis = which('redis-server') ? test : test.skip;
const HOOK_SECRET = `whsec_${Buffer.from('0123456789abcdef01234567').toString('base64')}`;

/** By page and a text of the excerpt. @type {[string, string, (code: string) => Promise<void>, typeof test?][]} */
const EXCERPTS = [
  ['README.md', 'gateway.list({ limit: 20 })', wholeGateway],
  ['docs/javascript.md', 'gateway.list({ limit: 20 })', wholeGateway],
  [
    'README.md',
    "from '/client.js'",
    async (code) => {
      const { url } = await gatewayOf();
      const createClient = () => {
        const client = web.createClient({ baseUrl: url, EventSource });
        cleanUp(() => client.close());
        return client;
      };
      await run(code, { createClient, output });
      expect(output.append.mock.calls.flat().join('')).toBe('Hello');
    },
  ],
  [
    'docs/javascript.md',
    'new Pipeline(',
    async (code) => {
      await run(code, { signal: undefined });
      expect(logged.mock.calls).toEqual([['r1', 'HELLO']]);
    },
  ],
  [
    'docs/javascript.md',
    'new TaskGraph(',
    async (code) => {
      const names = { load: async () => 'loaded', parse: (text) => [text], signal: undefined };
      await run(code, names);
      const [last] = logged.mock.calls.at(-1);
      expect(last).toMatchObject({ type: 'complete', id: 'parse', value: ['loaded'] });
    },
  ],
  [
    'docs/javascript.md',
    "store.set('user/1'",
    async (code) => {
      const store = new KvStore();
      store.set('stock', 3);
      // The first change ends the loop, whose body is a comment.
      const reader = code.replace(
        /^ {2}\/\/ \{type: 'set'.*\n/m,
        '  console.log(change);\n  break;\n',
      );
      expect(reader).not.toBe(code);
      const names = { ttlMs: 1000, keepTtl: undefined, ifVersion: undefined, ifAbsent: undefined };
      const range = {
        start: undefined,
        end: undefined,
        limit: 10,
        reverse: false,
        keysOnly: false,
      };
      const watched = store.watch.bind(store);
      store.watch = (options) => {
        const changes = watched(options);
        store.set('user/2', 'Cy');
        return changes;
      };
      await run(reader, { ...names, ...range, store, signal: undefined });
      expect(store.get('stock').value).toBe(2);
      expect(logged.mock.calls).toMatchObject([[{ type: 'set', key: 'user/2', value: 'Cy' }]]);
    },
  ],
  [
    'docs/javascript.md',
    "shared.kv({ name: 'stock'",
    async (code) => {
      const redis = await startRedis();
      cleanUp(() => redis.stop());
      await run(code.replace(/redis:\/\/[^']*/, redis.url), {});
      const shared = await sluice.openRedis({ url: redis.url, prefix: 'sluice' });
      expect((await shared.kv({ name: 'stock' }).get('apples')).value).toBe(9);
      await shared.close();
    },
    inRedis,
  ],
  [
    'docs/conversations.md',
    'gateway.conversations.fork',
    async (code) => {
      async function* counting({ messages }) {
        yield `message ${messages.length}`;
      }
      const { gateway } = await gatewayOf({ provider: counting });
      const submit = gateway.submit.bind(gateway);
      gateway.submit = async (request, options) => {
        const job = await submit(request, options);
        for await (const { type } of gateway.stream(job.id, options)) logged(type);
        return job;
      };
      await run(code, { gateway, principal: 'ann', limit: 10, after: undefined });
      const { data } = await gateway.conversations.list({ principal: 'ann' });
      expect(data).toMatchObject([{ title: 'Rivers', messageCount: 2 }]);
    },
  ],
  [
    'docs/credits.md',
    'gateway.credits.linked',
    async (code) => {
      const { gateway } = await gatewayOf({
        access: { prices: { '*': { prompt: 1, completion: 1 } } },
      });
      await gateway.credits.transfer({ key: 'open bob', to: 'bob', amount: 1n });
      await gateway.credits.transfer({ key: 'empty bob', from: 'bob', amount: 1n });
      const times = { fromMs: Date.now() - 1000, toMs: Date.now(), principal: undefined };
      await run(code, { gateway, ...times, after: undefined, limit: 10 });
      expect(await gateway.credits.account('acme')).toMatchObject({ posted: -1n });
    },
  ],
  [
    'docs/crawl.md',
    'for await (const item of crawl(',
    async (code) => {
      const { origin } = await site({ '/': '<title>Home</title><p>Hello' });
      const crawl = (options) => sluice.crawl({ ...options, allowPrivateAddresses: true });
      await run(code.replace('https://example.com', origin), { crawl });
      expect(logged.mock.calls).toEqual([[`${origin}/`, 'Home', 'Hello']]);
    },
  ],
  [
    'docs/conformance.md',
    'runConformance({',
    async (code) => {
      const { url } = await gatewayOf();
      const runConformance = (options) =>
        conformance.runConformance({ ...options, url, only: ['cursor/none'], model: undefined });
      const startFixtureUpstream = () => conformance.startFixtureUpstream();
      const names = { runConformance, startFixtureUpstream, server: { close() {} } };
      await run(code, names);
      expect(logged.mock.calls[0][1]).toContain('<testsuite');
    },
  ],
  [
    'docs/durable-streams.md',
    'DurableStream.create',
    async (code) => {
      const { url } = await gatewayOf();
      const read = new Promise((resolve) => logged.mockImplementation(resolve));
      await run(code.replace('http://127.0.0.1:8080', url), { DurableStream, key: 'none' });
      expect(await read).toEqual([{ text: 'hello' }]);
    },
  ],
  [
    'docs/webhooks.md',
    "webhooks: [{ url: 'https://app.example/hooks'",
    (code) => {
      const process = { env: { HOOK_SECRET } };
      return run(code.replace(/^ {2}data: .*\n/m, ''), { createGateway, provider: echo, process });
    },
  ],
  [
    'docs/webhooks.md',
    'new Webhook(',
    async (code) => {
      const app = express();
      await run(code, { app, express, Webhook, process: { env: { HOOK_SECRET } } });
      const server = app.listen(0, '127.0.0.1');
      cleanUp(() => server.close());
      await new Promise((resolve) => server.once('listening', resolve));
      const body = JSON.stringify({ type: 'job.completed' });
      const date = new Date();
      const signature = new Webhook(HOOK_SECRET).sign('msg_1', date, body);
      const headers = {
        'content-type': 'application/json',
        'webhook-id': 'msg_1',
        'webhook-timestamp': String(Math.floor(date.getTime() / 1000)),
        'webhook-signature': signature,
      };
      const url = `http://127.0.0.1:${server.address().port}/hooks`;
      expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(204);
      const forged = { ...headers, 'webhook-id': 'msg_2' };
      expect((await fetch(url, { method: 'POST', headers: forged, body })).status).toBe(500);
    },
  ],
  [
    'docs/webhooks.md',
    'webhookUrls: {',
    (code) => run(code, { createGateway, provider: echo, secret: HOOK_SECRET }),
  ],
];

async function wholeGateway(code) {
  const app = express();
  const { createGateway: create } = sluice;
  const made = [];
  const recording = (options) => {
    made.push(create({ logger: false, ...options }));
    return made[0];
  };
  await run(anyPort(code), { app, createGateway: recording, providers: fast });
  expect(logged.mock.calls.at(-1)[1]).toBe('job_complete');
  // It has closed the gateway.
  await expect(made[0].submit({ prompt: 'a' })).rejects.toThrow(/shut|drain|clos/);
}

/** Blocks that other tests run, by page and the reason. */
const ELSEWHERE = [
  ['README.md', 'app.listen(process.env.PORT', 'readme.test.js'],
  [
    'README.md',
    "new OpenAI({ baseURL: 'http",
    'one line each of programs in docs/, clients.test.js',
  ],
  ['docs/ai-sdk.md', 'useChat', 'soak/next-chat.test.js'],
  ['docs/ai-sdk.md', 'streamText', 'clients.test.js'],
  ['docs/anthropic.md', 'new Anthropic', 'clients.test.js'],
  ['docs/bundlers.md', '', 'bundlers.test.js'],
  ['docs/durable-streams.md', 'runConformanceTests', 'services/durable-conformance.test.js'],
  ['docs/getting-started.md', 'parrot', 'frameworks.test.js'],
  ['docs/frameworks/', '', 'frameworks.test.js'],
  ['docs/openai.md', 'new OpenAI', 'clients.test.js'],
  ['docs/scaling.md', 'rediss://', 'cluster/tls.test.js, with an address that exists'],
  [
    'docs/telemetry.md',
    '@opentelemetry/sdk-node',
    'jobs/telemetry.test.js, with a provider of the SDK',
  ],
];

afterEach(async () => {
  logged.mockReset();
  output.append.mockReset();
  await stopAll();
  await closeSites();
});

for (const [page, marker, runIt, tested = test] of EXCERPTS) {
  tested(`${page}: ${marker}`, async () => {
    const found = blocksOf(page).filter((code) => code.includes(marker));
    expect(found).toHaveLength(1);
    await runIt(found[0]);
  });
}

test('every block of JavaScript is run', () => {
  const pages = readdirSync(new URL('docs/', root), { recursive: true })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`);
  const known = [...EXCERPTS, ...ELSEWHERE];
  const isRun = (page, code) =>
    known.some(([of, marker]) => page.startsWith(of) && code.includes(marker));
  const rest = ['README.md', ...pages].flatMap((page) =>
    blocksOf(page)
      .filter((code) => !isRun(page, code))
      .map((code) => `${page}: ${code.split('\n')[0]}`),
  );
  expect(rest).toEqual([]);
});
