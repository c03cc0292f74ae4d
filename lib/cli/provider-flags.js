/** Flags of the provider and the gateway, and the creation of a gateway from them. */
import { UsageError, flagsFrom, optionsFrom } from './flags.js';
import { DEMO_OPTIONS, OPENAI_OPTIONS } from '../providers/option-table.js';
import { GATEWAY_OPTIONS } from '../gateway/option-table.js';
import { REDIS_OPTIONS, checkPrefix } from '../cluster/options.js';
import { lateModule } from '../internal/util/packages.js';
import { parseRedisUrl } from '../cluster/connection/address.js';
import { providers } from '../providers/index.js';
import { ROUTE_MEMBERS, findRouteProblem, pickRouteConfig } from '../providers/route/options.js';
import {
  WEBHOOK_MEMBERS,
  findWebhookProblem,
  webhookOptions,
} from '../services/webhooks/options.js';

/**
 * The modules of the gateway, loaded after the flags are checked, so that help and usage errors come at once.
 * @type {() => typeof import('../gateway/gateway.js')}
 */
const gatewayModule = lateModule(import.meta.url, (require) => require('../gateway/gateway.js'));

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
    help: 'source of the text: a fixed demo text, an OpenAI-compatible server, or a GGUF file',
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
export const gatewayFlags = { ...flagsFrom(GATEWAY_OPTIONS), ...flagsFrom(REDIS_OPTIONS) };

/** The members of a configuration file for upstreams. */
export const routeMembers = { names: ROUTE_MEMBERS, findProblem: findRouteProblem };

/** The members of a configuration file for webhooks. */
export const webhookMembers = { names: WEBHOOK_MEMBERS, findProblem: findWebhookProblem };

/**
 * @param {Record<string, unknown>} members of a configuration file, checked
 * @returns {{access: Record<string, unknown>,
 *   route: import('../providers/route/options.js').RouteConfig | undefined,
 *   webhooks: ReturnType<typeof webhookOptions>}}
 */
export function splitMembers({ upstreams, fallbacks, webhooks, webhook_urls, ...access }) {
  const route = withVendorKeys(pickRouteConfig({ upstreams, fallbacks }));
  return { access, route, webhooks: webhookOptions({ webhooks, webhook_urls }) };
}

/** Variables with the keys of dialects, for upstreams without a key. */
const KEY_VARIABLES = Object.freeze({ openai: 'OPENAI_API_KEY', anthropic: 'ANTHROPIC_API_KEY' });
const OPENAI_HOST = 'api.openai.com';

/**
 * Sets `api_key_env` of upstreams without a key. The key of OpenAI is sent only to
 * OpenAI, because many servers use its dialect.
 * @param {import('../providers/route/options.js').RouteConfig | undefined} route not checked yet
 */
function withVendorKeys(route) {
  if (!Array.isArray(route?.upstreams)) return route;
  const upstreams = route.upstreams.map((upstream) => {
    const {
      api_key: key,
      api_key_env: variable,
      base_url: url,
      dialect = 'openai',
    } = Object(upstream);
    if (key !== undefined || variable !== undefined || !URL.canParse(url)) return upstream;
    const isTheirs = dialect === 'anthropic' || new URL(url).hostname === OPENAI_HOST;
    if (!isTheirs || !Object.hasOwn(KEY_VARIABLES, dialect)) return upstream;
    return { ...upstream, api_key_env: KEY_VARIABLES[/** @type {'openai'} */ (dialect)] };
  });
  return { ...route, upstreams };
}

/**
 * @param {Record<string, any>} values of `providerFlags`
 * @returns {Record<string, any>} with the provider, and with the upstream from the environment
 */
export function completed(values) {
  const { provider, upstream = process.env.OPENAI_BASE_URL || undefined } = values;
  const chosen = provider ?? (upstream === undefined ? 'demo' : 'openai');
  return { ...values, provider: chosen, ...(chosen === 'openai' && { upstream }) };
}

/**
 * @param {Record<string, any>} values `completed`
 * @param {import('../providers/route/options.js').RouteConfig | undefined} config
 */
function createProvider(values, config) {
  const { demo, openai, llama, route } = providers;
  const { provider, model, maxBatchSize } = values;
  const ofOpenAi = /** @type {import('../providers/option-table.js').OpenAiOptions} */ (
    optionsFrom(OPENAI_OPTIONS, values)
  );
  if (config !== undefined) return route({ ...config, client: ofOpenAi.client });
  if (provider === 'openai') {
    if (!/^https?:\/\//.test(ofOpenAi.baseUrl) || !URL.canParse(ofOpenAi.baseUrl)) {
      throw new UsageError('OPENAI_BASE_URL takes an http or https URL');
    }
    // Not a flag, because arguments are visible to all users of the machine.
    return openai({ ...ofOpenAi, apiKey: process.env.OPENAI_API_KEY || undefined, model });
  }
  if (provider === 'llama') return llama({ modelPath: model, sequences: maxBatchSize });
  return demo(optionsFrom(DEMO_OPTIONS, values));
}

/**
 * @param {Record<string, any>} values of `providerFlags`
 * @param {import('../providers/route/options.js').RouteConfig | undefined} route
 */
export function checkProviderFlags({ provider, upstream, mode, model }, route) {
  if (route !== undefined) {
    if (upstream !== undefined) {
      throw new UsageError('give --upstream or upstreams in FILE, not both');
    }
    if (![undefined, 'openai'].includes(provider)) {
      throw new UsageError(`upstreams go with --provider openai, not ${provider}`);
    }
    if (model !== undefined) {
      throw new UsageError('--model goes with --upstream, not with upstreams');
    }
    if (mode === 'completions') throw new UsageError('upstreams go with --mode chat');
    return;
  }
  const all = completed({ provider, upstream });
  if (all.provider !== 'openai' && upstream !== undefined) {
    throw new UsageError(`--upstream goes with --provider openai, not ${all.provider}`);
  }
  if (all.provider === 'openai' && all.upstream === undefined) {
    throw new UsageError('--provider openai needs --upstream URL, or OPENAI_BASE_URL');
  }
  if (all.provider === 'llama' && model === undefined) {
    throw new UsageError('--provider llama needs --model PATH');
  }
  // The demo model would answer in the place of the one that is wanted.
  if (all.provider === 'demo' && model !== undefined) {
    throw new UsageError('--model goes with --upstream URL, or with --provider llama');
  }
}

/**
 * @param {Record<string, any>} values of `gatewayFlags`
 * @throws {UsageError} naming the flag
 */
export function checkRedisFlags({ redis, data, ...rest }) {
  if (redis === undefined) {
    const [alone] = Object.entries({
      'redis-prefix': rest.redisPrefix,
      'lease-ms': rest.leaseMs,
      'on-producer-lost': rest.onProducerLost,
    }).filter(([, value]) => value !== undefined);
    if (alone !== undefined) throw new UsageError(`--${alone[0]} goes with --redis`);
    return;
  }
  if (data !== undefined) throw new UsageError('give --redis or --data, not both');
  const env = process.env.SLUICE_REDIS_URL;
  try {
    parseRedisUrl(redis === env ? 'SLUICE_REDIS_URL' : '--redis', redis);
    if (rest.redisPrefix !== undefined) checkPrefix('--redis-prefix', rest.redisPrefix);
  } catch (/** @type {any} */ error) {
    throw new UsageError(error.message, { cause: error });
  }
}

/**
 * @param {Record<string, any>} values of `providerFlags` and `gatewayFlags`
 * @param {Partial<import('../gateway/options.js').GatewayOptions>} options of the gateway, besides
 *   those from flags
 * @param {import('../providers/route/options.js').RouteConfig} [route] upstreams of the configuration
 *   file
 * @returns {Promise<{gateway: import('../gateway/gateway.js').Gateway,
 *   options: import('../gateway/options.js').GatewayOptions}>} `options`: the gateway's
 */
export async function createGateway(values, options, route) {
  checkProviderFlags(values, route);
  const provider = createProvider(completed(values), route);
  const ofRedis = values.redis === undefined ? {} : optionsFrom(REDIS_OPTIONS, values);
  const all = { ...optionsFrom(GATEWAY_OPTIONS, values), ...ofRedis, ...options, provider };
  return { gateway: gatewayModule().createGateway(all), options: all };
}
