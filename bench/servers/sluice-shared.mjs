/**
 * A gateway that is one of several processes on a Redis: BENCH_REDIS_URL. Its provider takes `{tokens, intervalMs}` as
 * JSON in the prompt.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createGateway } from '../../lib/index.js';

async function* provider({ prompt }, { signal }) {
  const { tokens, intervalMs } = JSON.parse(prompt);
  for (let i = 0; i < tokens && !signal.aborted; i += 1) {
    if (intervalMs > 0) await sleep(intervalMs);
    yield 'token ';
  }
}

const gateway = createGateway({
  ...{ provider, logger: false, redis: process.env.BENCH_REDIS_URL },
  ...{ maxConcurrency: 100_000, incomingCapacity: 100_000, cache: { mode: 'off' } },
});
const { url } = await gateway.listen({ port: 0 });
process.stdout.write(`listening on ${url}\n`);
