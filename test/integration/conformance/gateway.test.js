/** The conformance suite against a gateway, with each writer to a socket and each face. */
import { once } from 'node:events';
import http from 'node:http';
import compression from 'compression';
import express from 'express';
import { createGateway, providers } from '../../../lib/index.js';
import { runConformance, startFixtureUpstream } from '../../../lib/conformance/index.js';
import { cleanUp, stopAll } from '../../support/gateway/gateway.js';

const FACTS = { heartbeatMs: 100, stallMs: 2000, concurrency: 3 };

/** Rules that take long, and do not differ between faces. */
const SLOW = ['delivery/slow-reader', 'delivery/slow-resume'];

let upstream;
beforeAll(async () => {
  upstream = await startFixtureUpstream();
});
afterAll(() => upstream.close());
afterEach(stopAll);

/** A gateway on the suite's upstream, and its URL. */
async function start({ mount, ...options } = {}) {
  const { heartbeatMs, stallMs, concurrency } = FACTS;
  const gateway = createGateway({
    ...{ logger: false, provider: providers.openai({ baseUrl: upstream.url }) },
    ...{ heartbeatMs, stallMs, maxConcurrency: concurrency, headHoldMs: 50 },
    ...{ logBytesMax: 16 * 1024 * 1024, retry: { attempts: 1 } },
    ...options,
  });
  cleanUp(() => gateway.close({ drainMs: 0 }));
  if (mount === undefined) return { gateway, url: (await gateway.listen()).url };
  const server = http.createServer(mount(gateway)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp(() => server.closeAllConnections());
  cleanUp(() => server.close());
  return { gateway, url: `http://127.0.0.1:${server.address().port}` };
}

/** No rule fails, and only these are skipped. */
async function expectConformance({ gateway, url }, options, skipped) {
  const drain = () => gateway.close({ drainMs: 0 });
  const report = await runConformance({
    url,
    upstream,
    drain,
    timeoutMs: 30_000,
    ...FACTS,
    ...options,
  });
  const of = (status) => report.results.filter((result) => result.status === status);
  expect(of('failed')).toEqual([]);
  expect(of('skipped').map(({ id }) => id)).toEqual(skipped);
}

const TRIMMED = ['cursor/trimmed'];

test('the native hand-off', async () => {
  await expectConformance(await start(), {}, TRIMMED);
});

test('writes through Node', async () => {
  await expectConformance(
    await start({ egress: 'node' }),
    { skip: ['leave', 'cancel', SLOW[1]] },
    TRIMMED,
  );
});

test('mounted in Express with compression, on a shared socket', async () => {
  const mount = (gateway) => express().use(compression({ threshold: 0 }), gateway.router());
  const skip = ['leave', ...SLOW];
  await expectConformance(await start({ mount, egress: 'shared' }), { skip }, TRIMMED);
});

test('several reactors', async () => {
  const only = ['cursor', 'ending', 'fan-in', 'cancel'];
  await expectConformance(await start({ reactors: 3 }), { only }, TRIMMED);
});

test('a log that drops its oldest text', async () => {
  const logLimitBytes = 32 * 1024;
  const gateway = await start({ logBytesMax: logLimitBytes });
  await expectConformance(gateway, { only: TRIMMED, logLimitBytes }, []);
});

/** Rules without a counterpart in other faces. */
const NO_RESUME = [
  ...['delivery/fan-out', 'cursor/unique', 'cursor/every-cut', 'cursor/live-cuts', 'cursor/none'],
  ...['cursor/query', 'cursor/at-end', 'cursor/malformed', 'cursor/beyond', 'cursor/trimmed'],
  ...['cursor/unknown-job', 'ending/race', 'cancel/queued', 'cancel/before-head'],
  ...['cancel/before-first-token', 'cancel/mid-stream', 'cancel/twice', 'cancel/after-end'],
  ...['cancel/unknown-job', 'idempotency/same', 'idempotency/concurrent', 'idempotency/other-body'],
  ...['fan-in/two-jobs', 'fan-in/resume', 'leave/runs-on', 'leave/cancel', 'leave/grace'],
];

const OWN = [
  ...['idempotency/same', 'idempotency/concurrent', 'idempotency/other-body'],
  ...['fan-in/two-jobs', 'fan-in/resume', 'leave/cancel', 'leave/grace'],
];

const FACES = {
  responses: ['', ['cursor/query', 'cursor/beyond', 'cursor/trimmed', ...OWN]],
  chat: ['', NO_RESUME],
  messages: ['', NO_RESUME],
  'ai-sdk': [
    '/v1/ui/chat',
    [
      ...['cursor/unique', 'cursor/every-cut', 'cursor/none', 'cursor/query', 'cursor/at-end'],
      ...['cursor/malformed', 'cursor/beyond', 'cursor/trimmed', 'cancel/after-end', ...OWN],
    ],
  ],
  'durable-streams': [
    '/v1/durable',
    [
      ...['framing/utf-8-split', 'framing/upstream-bom', 'framing/upstream-lf'],
      ...['framing/upstream-crlf', 'framing/upstream-cr', 'framing/upstream-comment'],
      ...['cursor/query', 'cursor/beyond', 'cursor/trimmed', 'ending/error', 'ending/refused'],
      ...['ending/race', 'cancel/queued', 'cancel/before-head', 'cancel/before-first-token'],
      ...['cancel/mid-stream', 'cancel/twice', 'cancel/after-end', 'cancel/unknown-job'],
      ...['idempotency/same', 'idempotency/concurrent', 'idempotency/other-body'],
      ...['fan-in/two-jobs', 'fan-in/resume', 'leave/runs-on', 'leave/cancel', 'leave/grace'],
      'drain/terminal',
    ],
  ],
};

test.each(Object.entries(FACES))('the face %s', async (adapter, [path, skipped]) => {
  const { gateway, url } = await start();
  await expectConformance({ gateway, url: url + path }, { adapter, skip: SLOW }, skipped);
});
