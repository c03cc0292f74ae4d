/**
 * Runs the conformance suite against other systems, each with real parts: the AI SDK with resumable-stream on a
 * Redis, and the reference server of Durable Streams. docs/conformance.md shows the results.
 *
 * Usage: BENCH_PEERS=FOLDER node bench/conformance.mjs [RULE]...
 */
import { fileURLToPath } from 'node:url';
import { runConformance, startFixtureUpstream, toText } from '../lib/conformance/index.js';
import { missingRedis, startRedis } from './lib/redis.mjs';
import { freePort, startServer } from './lib/processes.mjs';
import { peerFile, peerVersion } from './peers/packages.mjs';

const peer = (/** @type {string} */ name) => [
  process.execPath,
  fileURLToPath(new URL(`peers/${name}.mjs`, import.meta.url)),
];

/** Ids of rules or groups; none: all. */
const only = process.argv.slice(2);
const upstream = await startFixtureUpstream();

/**
 * @param {string[]} packages
 * @param {string[]} command
 * @param {Record<string, string>} env
 * @param {{adapter: string, path: string}} dialect
 */
async function test(packages, command, env, { adapter, path }) {
  const missing = packages.find((name) => peerFile(name) === undefined);
  if (missing !== undefined) {
    console.log(`${missing} is not installed: see bench/README.md\n`);
    return;
  }
  console.log(packages.map((name) => `${name} ${peerVersion(name)}`).join(', '));
  const server = await startServer(command, { env });
  const stop = () => server.child.kill('SIGTERM');
  const facts = { timeoutMs: 5000, stallMs: 10_000, heartbeatMs: 15_000, drain: stop };
  const url = server.url + path;
  const report = await runConformance({ url, adapter, upstream, only, ...facts });
  console.log(toText(report));
  await server.stop();
}

const noRedis = missingRedis();
if (noRedis !== undefined) console.log(noRedis);
else {
  const redis = await startRedis();
  await test(
    ['ai', '@ai-sdk/openai-compatible', 'resumable-stream'],
    peer('ai-sdk-resumable'),
    { REDIS_URL: redis.url, BENCH_UPSTREAM_PORT: String(upstream.port) },
    { adapter: 'ai-sdk', path: '/api/chat' },
  );
  await redis.server.stop();
}
await test(
  ['@durable-streams/server'],
  peer('durable-streams-server'),
  { PORT: String(await freePort()) },
  {
    adapter: 'durable-streams',
    path: '/v1/stream',
  },
);
await upstream.close();
process.exit();
