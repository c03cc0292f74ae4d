/** The gateway, with the provider, that the flags ask for. */
import { UsageError } from './flags.js';

/**
 * @param {Record<string, any>} values of `providerFlags`
 * @param {typeof import('../providers/index.js').providers} providers
 */
function createProvider(values, { demo, openai, llama }) {
  const { provider, upstream, upstreamIdleMs, mode, model, tokenIntervalMs, maxBatchSize } = values;
  if (provider === 'openai') {
    return openai({
      baseUrl: upstream,
      // Not a flag: arguments are visible to every user of the machine.
      apiKey: process.env.OPENAI_API_KEY || undefined,
      model,
      mode,
      idleMs: upstreamIdleMs,
      client: values.upstreamClient,
    });
  }
  if (provider === 'llama') return llama({ modelPath: model, sequences: maxBatchSize });
  return demo({ tokenIntervalMs });
}

/**
 * @param {Record<string, any>} values of `providerFlags`
 * @param {Omit<import('../gateway/options.js').GatewayOptions, 'provider'>} options of the gateway,
 *   beyond those that the flags give
 * @returns {Promise<import('../gateway/gateway.js').Gateway>}
 */
export async function createGateway(values, options) {
  const { provider, upstream, model } = values;
  if (provider === 'openai' && upstream === undefined) {
    throw new UsageError('--provider openai needs --upstream URL');
  }
  if (provider === 'llama' && model === undefined) {
    throw new UsageError('--provider llama needs --model PATH');
  }
  // Loaded now that the flags are known to be good: help and mistakes are answered at once.
  const [gateway, { providers }] = await Promise.all([
    import('../gateway/gateway.js'),
    import('../providers/index.js'),
  ]);
  return gateway.createGateway({
    ...options,
    provider: createProvider(values, providers),
    batching: { maxBatchSize: values.maxBatchSize, idleFlushMs: values.idleFlushMs },
    maxInFlightBatches: values.maxInFlightBatches,
    incomingCapacity: values.incomingCapacity,
    reactors: values.reactors,
  });
}
