/** The provider that the flags ask for, and the gateway options that go with it. */
import { UsageError } from './flags.js';
import { providers } from '../providers/index.js';

/**
 * @param {Record<string, any>} values of `providerFlags`
 * @returns {Promise<import('../job-runner.js').Provider>}
 */
export async function createProvider(values) {
  const { provider, upstream, upstreamIdleMs, mode, model, tokenIntervalMs, maxBatchSize } = values;
  if (provider === 'openai') {
    if (upstream === undefined) throw new UsageError('--provider openai needs --upstream URL');
    return providers.openai({
      baseUrl: upstream,
      // Not a flag: arguments are visible to every user of the machine.
      apiKey: process.env.OPENAI_API_KEY,
      model,
      mode,
      idleMs: upstreamIdleMs,
    });
  }
  if (provider === 'llama') {
    if (model === undefined) throw new UsageError('--provider llama needs --model PATH');
    return providers.llama({ modelPath: model, sequences: maxBatchSize });
  }
  return providers.demo({ tokenIntervalMs });
}

/**
 * @param {Record<string, any>} values of `providerFlags`
 */
export function gatewayOptions(values) {
  return {
    batching: { maxBatchSize: values.maxBatchSize, idleFlushMs: values.idleFlushMs },
    maxInFlightBatches: values.maxInFlightBatches,
    incomingCapacity: values.incomingCapacity,
  };
}
