/**
 * The options of `providers.route`, which are also members of the configuration file: `upstreams` and
 * `fallbacks`. Pure functions.
 */
import { checkApiKey, checkHeaders, checkStrings, parseBaseUrl } from '../shared/endpoint.js';
import { dotted, problemOf, schemaCheck } from '../../internal/util/request-schema.js';
import { rangeError, typeError } from '../../internal/util/errors.js';
import { ModelTable } from './model-table.js';

/**
 * One upstream, under the names of the configuration file.
 * @typedef {object} UpstreamConfig
 * @property {string} name unique; used in `job_retry`, `x-sluice-upstream`, `owned_by`, logs and metrics
 * @property {string} base_url without a path, `/v1` is added; the path of a call is removed
 * @property {'openai' | 'anthropic'} [dialect] its API; default `openai`
 * @property {string} [api_key] key for each call
 * @property {string} [api_key_env] environment variable with the key
 * @property {Record<string, string>} [headers] further headers of each call
 * @property {Record<string, string>} [query] members of the query of each call, such as the
 *   `api-version` of Azure
 * @property {string[] | Record<string, string>} [models] its models: names and patterns, in
 *   which `*` stands for any characters; or an object with the upstream's name of each. Default: all models
 * @property {number} [weight] share of the calls among upstreams of a model; default 1
 * @property {number} [max_concurrency] maximum concurrent calls; further ones wait; default 64
 * @property {{idle_ms?: number}} [timeouts] `idle_ms`: silence after which a call has failed; default
 *   60000
 */

/**
 * @typedef {object} RouteConfig
 * @property {UpstreamConfig[]} upstreams at least one
 * @property {Record<string, string[]>} [fallbacks] by model: models that replace it, in this
 *   order, when every upstream of the model has failed or is closed
 */

/**
 * @typedef {object} ClientOptions
 * @property {'auto' | 'native' | 'undici'} [client] client of the calls, as in `providers.openai`;
 *   default `auto`
 * @property {import('../../internal/time/clock.js').ManualClock} [clock] time of circuits and lists, for
 *   tests; default: real time
 */

/** @typedef {RouteConfig & ClientOptions} RouteOptions */

/** The members of a configuration file for upstreams. */
export const ROUTE_MEMBERS = Object.freeze(['upstreams', 'fallbacks']);

const NAME_LENGTH_MAX = 256;
const SPAN_MS_MAX = 2 ** 31 - 1;

const text = { type: 'string', minLength: 1 };
const modelName = { type: 'string', minLength: 1, maxLength: NAME_LENGTH_MAX };

/** @type {Record<keyof UpstreamConfig, object>} */
const upstreamProperties = {
  name: {
    type: 'string',
    pattern: '^[\\w.:@/+-]{1,64}$',
    description: '1 to 64 letters, digits or any of _ . : @ / + -',
  },
  base_url: { type: 'string' },
  dialect: { enum: ['openai', 'anthropic'] },
  api_key: { type: 'string' },
  api_key_env: {
    type: 'string',
    pattern: '^[A-Za-z_]\\w*$',
    description: 'the name of an environment variable',
  },
  headers: { type: 'object', additionalProperties: { type: 'string' } },
  query: { type: 'object', additionalProperties: { type: 'string' } },
  models: { type: ['array', 'object'], items: modelName, additionalProperties: text, minItems: 1 },
  weight: { type: 'number', minimum: 0.001, maximum: 1e6 },
  max_concurrency: { type: 'integer', minimum: 1, maximum: 1e6 },
  timeouts: {
    type: 'object',
    additionalProperties: false,
    properties: { idle_ms: { type: 'integer', minimum: 1, maximum: SPAN_MS_MAX } },
  },
};

const validate = schemaCheck({
  type: 'object',
  additionalProperties: false,
  required: ['upstreams'],
  properties: {
    upstreams: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['name', 'base_url'],
        properties: upstreamProperties,
      },
    },
    fallbacks: {
      type: 'object',
      additionalProperties: { type: 'array', minItems: 1, items: modelName },
    },
  },
});

/**
 * @param {string[]} path
 * @param {string} says
 * @param {string} [kind] of a `SchemaProblem`
 */
function optionError(path, says, kind = 'value') {
  const message = `${dotted(path)} ${says}`.trim();
  return kind === 'value' ? rangeError(message) : typeError(message);
}

/** @param {UpstreamConfig} upstream @param {number} index */
function checkUpstream(upstream, index) {
  const at = `upstreams[${index}]`;
  parseBaseUrl(`${at}.base_url`, upstream.base_url);
  checkApiKey(`${at}.api_key`, upstream.api_key);
  checkHeaders(`${at}.headers`, upstream.headers);
  checkStrings(`${at}.query`, upstream.query);
  if (upstream.api_key !== undefined && upstream.api_key_env !== undefined) {
    throw typeError(`${at} takes api_key or api_key_env, not both`);
  }
  for (const model of Array.isArray(upstream.models) ? [] : Object.keys(upstream.models ?? {})) {
    if (model === '') throw rangeError(`${at}.models takes names of models that are not empty`);
  }
}

/**
 * @param {unknown} config a `RouteConfig`
 * @returns {RouteConfig} a checked copy
 * @throws {TypeError | RangeError} naming the member, as in `upstreams[0].base_url`
 */
export function checkRouteConfig(config) {
  if (!validate(config)) {
    const [error] = /** @type {import('ajv').ErrorObject[]} */ (validate.errors);
    const { path, says, kind } = problemOf(error);
    throw optionError(path, path.length === 0 ? `providers.route: options ${says}` : says, kind);
  }
  const { upstreams, fallbacks = {} } = structuredClone(/** @type {RouteConfig} */ (config));
  upstreams.forEach(checkUpstream);
  /** @type {Map<string, number>} */
  const places = new Map();
  for (const [i, { name }] of upstreams.entries()) {
    const first = places.get(name);
    if (first !== undefined) {
      throw rangeError(`upstreams[${i}].name must not repeat upstreams[${first}].name`);
    }
    places.set(name, i);
  }
  const table = new ModelTable(upstreams.map(({ models }, i) => ({ models, upstream: i })));
  for (const [model, others] of Object.entries(fallbacks)) {
    if (!table.serves(model)) {
      throw optionError(['fallbacks', model], 'must name a model that an upstream serves');
    }
    others.forEach((other, i) => {
      const path = ['fallbacks', model, String(i)];
      if (other === model) throw optionError(path, 'must be another model');
      if (!table.serves(other)) throw optionError(path, 'must be a model that an upstream serves');
    });
  }
  return { upstreams, fallbacks };
}

/**
 * @param {Record<string, unknown>} members of a configuration file
 * @returns {string | undefined} the fault in its `upstreams` and `fallbacks`
 */
export function findRouteProblem(members) {
  if (members.upstreams === undefined) {
    return members.fallbacks === undefined ? undefined : 'fallbacks needs upstreams';
  }
  try {
    checkRouteConfig(pickRouteConfig(members));
    return undefined;
  } catch (/** @type {any} */ error) {
    return error.message;
  }
}

/**
 * @param {Record<string, unknown>} members
 * @returns {RouteConfig | undefined} undefined: there are no upstreams
 */
export function pickRouteConfig({ upstreams, fallbacks }) {
  if (upstreams === undefined) return undefined;
  return /** @type {RouteConfig} */ ({ upstreams, ...(fallbacks !== undefined && { fallbacks }) });
}
