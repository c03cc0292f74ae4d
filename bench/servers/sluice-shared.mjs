/**
 * A gateway that is one of several processes on a Redis: BENCH_REDIS_URL; alone without it. BENCH_OPTIONS is JSON of more
 * options: `redis` and those of `createGateway`.
 *
 * Its provider takes JSON in the prompt: `{tokens, intervalMs, stampAs, stopAt}`. With `stampAs` each token is the time at
 * which it was made, in nanoseconds of the machine's monotonic clock; when the call is aborted, a line `closed STAMPAS
 * TIME` is printed. After `stopAt` tokens the call waits until it is aborted.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGateway } from '../../lib/index.js';

const nowNs = () => String(process.hrtime.bigint());

/**
 * @param {import('../../lib/providers/shared/types.js').ProviderRequest} request
 * @param {{signal: AbortSignal}} options
 */
async function* provider({ prompt }, { signal }) {
  const { tokens, intervalMs, stampAs, stopAt } = JSON.parse(/** @type {string} */ (prompt));
  const onAbort = () => process.stdout.write(`closed ${stampAs} ${nowNs()}\n`);
  if (stampAs !== undefined) signal.addEventListener('abort', onAbort);
  for (let i = 0; i < tokens && !signal.aborted; i += 1) {
    if (i === stopAt) await once(signal, 'abort');
    if (intervalMs > 0) await sleep(intervalMs);
    yield stampAs === undefined ? 'token ' : `${nowNs()} `;
  }
  signal.removeEventListener('abort', onAbort);
}

const { redis, ...more } = JSON.parse(process.env.BENCH_OPTIONS ?? '{}');
const url = process.env.BENCH_REDIS_URL;
const gateway = createGateway({
  ...{ provider, logger: false, ...(url !== undefined && { redis: { url, ...redis } }) },
  ...{ maxConcurrency: 100_000, incomingCapacity: 100_000, cache: { mode: 'off' }, ...more },
});
const { url: own } = await gateway.listen({ port: 0 });
process.stdout.write(`listening on ${own}\n`);
process.once('SIGTERM', () => void gateway.close({ drainMs: 0 }).then(() => process.exit(0)));
