/** Flags of the provider and the gateway, and the creation of a gateway from them. */
import { UsageError, flagsFrom, optionsFrom } from './flags.js';
import { DEMO_OPTIONS, OPENAI_OPTIONS } from '../providers/option-table.js';
import { GATEWAY_OPTIONS } from '../gateway/option-table.js';

/**
 * @param {string} provider
 * @param {readonly import('../internal/util/option-table.js').OptionRow[]} rows
 */
function flagsOf(provider, rows) {
  const flags = Object.entries(flagsFrom(rows));
  return Object.fromEntries(
    flags.map(([name, flag]) => [name, { ...flag, help: `${provider}: ${flag.help}` }]),
  );
}

/** @type {import('./flags.js').Flags} */
export const providerFlags = {
  provider: {
    type: 'choice',
    choices: ['demo', 'openai', 'llama'],
    defaultText: 'openai with --upstream, else demo',
    help: 'source of the text: a canned one, an OpenAI-compatible server, or a GGUF file',
  },
  ...flagsOf('openai', OPENAI_OPTIONS),
  model: {
    type: 'string',
    value: 'NAME|PATH',
    help: 'openai: model name; llama: path of the GGUF file',
  },
  ...flagsOf('demo', DEMO_OPTIONS),
};

/** @type {import('./flags.js').Flags} */
export const gatewayFlags = flagsFrom(GATEWAY_OPTIONS);

/** @param {Record<string, any>} values of `providerFlags` */
export function chosenProvider({ provider, upstream }) {
  return provider ?? (upstream === undefined ? 'demo' : 'openai');
}

/**
 * @param {Record<string, any>} values of `providerFlags` and `gatewayFlags`
 * @param {typeof import('../providers/index.js').providers} providers
 */
function createProvider(values, { demo, openai, llama }) {
  const { model, maxBatchSize } = values;
  const provider = chosenProvider(values);
  if (provider === 'openai') {
    const options = /** @type {import('../providers/option-table.js').OpenAiOptions} */ (
      optionsFrom(OPENAI_OPTIONS, values)
    );
    // Not a flag: arguments are visible to every user of the machine.
    return openai({ ...options, apiKey: process.env.OPENAI_API_KEY || undefined, model });
  }
  if (provider === 'llama') return llama({ modelPath: model, sequences: maxBatchSize });
  return demo(optionsFrom(DEMO_OPTIONS, values));
}

/**
 * @param {Record<string, any>} values of `providerFlags`
 * @throws {UsageError} for flags that do not go together
 */
export function checkProviderFlags(values) {
  const { upstream, model } = values;
  const name = chosenProvider(values);
  if (name !== 'openai' && upstream !== undefined) {
    throw new UsageError(`--upstream goes with --provider openai, not ${name}`);
  }
  if (name === 'openai' && upstream === undefined) {
    throw new UsageError('--provider openai needs --upstream URL');
  }
  if (name === 'llama' && model === undefined) {
    throw new UsageError('--provider llama needs --model PATH');
  }
}

/**
 * @param {Record<string, any>} values of `providerFlags` and `gatewayFlags`
 * @param {Partial<import('../gateway/options.js').GatewayOptions>} options of the gateway, besides
 *   those from flags
 * @returns {Promise<{gateway: import('../gateway/gateway.js').Gateway,
 *   options: import('../gateway/options.js').GatewayOptions}>} `options`: the gateway's
 */
export async function createGateway(values, options) {
  checkProviderFlags(values);
  // Loaded after the flags are checked: help and usage errors come without delay.
  const [gateway, { providers }] = await Promise.all([
    import('../gateway/gateway.js'),
    import('../providers/index.js'),
  ]);
  const provider = createProvider(values, providers);
  const all = { ...optionsFrom(GATEWAY_OPTIONS, values), ...options, provider };
  return { gateway: gateway.createGateway(all), options: all };
}
