/**
 * Sluice as the runner measures it. The mode is the first argument:
 *   generator  an `async function*` that makes a token per interval
 *   relay      the openai provider in front of the mock upstream
 *   burst      the number of tokens in the prompt, as fast as they are taken
 * Limits are raised to the needs of the rows; everything else is the default.
 */
import { createGateway, providers } from '../../lib/index.js';
import { intervalMs, upstreamUrl } from '../lib/server-settings.mjs';
import { burst, tokens } from '../lib/token.mjs';

/**
 * @param {import('../../lib/providers/shared/types.js').ProviderRequest} _request
 * @param {{signal: AbortSignal}} options
 */
const generator = (_request, { signal }) => tokens(intervalMs, signal);

const modes = {
  generator: () => generator,
  relay: () => providers.openai({ baseUrl: `${upstreamUrl}/v1`, model: 'mock' }),
  burst:
    () =>
    (/** @type {{prompt?: string}} */ { prompt }) =>
      burst(Number(prompt)),
};
const mode = /** @type {keyof typeof modes} */ (process.argv[2]);
const gateway = createGateway({
  provider: modes[mode](),
  maxConcurrency: 20_000,
  incomingCapacity: 20_000,
  maxStreams: 20_000,
  // On a machine with other load it takes long to open ten thousand.
  admissionWaitMs: 60_000,
  logger: false,
});
const server = await gateway.listen({ port: 0 });
console.log(`listening on ${server.url}`);

// For the table of where memory goes; needs --expose-gc.
process.on('SIGUSR2', () => {
  const { rss, heapTotal, heapUsed } = process.memoryUsage();
  globalThis.gc?.();
  globalThis.gc?.(); // collects the garbage of the first one
  const { heapUsed: live } = process.memoryUsage();
  server.getConnections((_error, streams) => {
    console.log(`memory ${JSON.stringify({ streams, rss, heapTotal, heapUsed, live })}`);
  });
});
