import { Circuit } from './circuit.js';
import { AnthropicProvider } from '../anthropic/provider.js';
import { OpenAiProvider } from '../openai/provider.js';

/** @typedef {import('./options.js').UpstreamConfig} UpstreamConfig */
/** @typedef {import('../shared/types.js').RoutedCall} RoutedCall */
/** @typedef {import('../shared/types.js').CallFailure} CallFailure */

/** Default of `max_concurrency`. */
export const CALLS_MAX = 64;

/** Codes of lasting failures due to the request: the upstream works. */
const REQUEST_FAILURES = new Set(['upstream_bad_request', 'upstream_unauthorized']);

/** Failures of the gateway or of the job during a call. */
const FOREIGN_FAILURES = new Set(['wall_time_exceeded', 'overloaded', 'provider_error']);

/**
 * Counters of an upstream by name: they survive a change of its configuration.
 * @typedef {object} Counters
 * @property {number} calls
 * @property {number} inFlight
 * @property {Map<string, number>} failures by wire code
 */

/** @returns {Counters} */
export function newCounters() {
  return { calls: 0, inFlight: 0, failures: new Map() };
}

/**
 * @param {UpstreamConfig} config checked
 * @param {Record<string, string | undefined>} env
 * @returns {string | undefined}
 */
function keyOf({ api_key: key, api_key_env: variable }, env) {
  return key ?? (variable === undefined ? undefined : env[variable] || undefined);
}

/**
 * @param {UpstreamConfig} config checked
 * @param {'auto' | 'native' | 'undici'} [client] of the dialect openai
 */
function createProvider(config, client) {
  const { base_url: baseUrl, dialect = 'openai', headers, query, timeouts } = config;
  const apiKey = keyOf(config, process.env);
  const shared = { baseUrl, apiKey, headers, query, idleMs: timeouts?.idle_ms };
  return dialect === 'anthropic'
    ? new AnthropicProvider(shared)
    : new OpenAiProvider({ ...shared, client });
}

/**
 * One upstream of a route: its provider, its circuit, its calls. Main thread; `close()` ends it after
 * its last call.
 */
export class Upstream {
  #circuit;
  #counters;
  #onFree;
  #inFlight = 0;
  #closing = false;
  /** Position in the rotation among idle upstreams; see `pick`. */
  pass = 0;

  /**
   * @param {UpstreamConfig} config checked
   * @param {object} deps
   * @param {() => number} deps.nowMs
   * @param {Counters} deps.counters
   * @param {() => void} deps.onFree called when the upstream may admit a waiting call
   * @param {'auto' | 'native' | 'undici'} [deps.client]
   */
  constructor(config, { nowMs, counters, onFree, client }) {
    this.config = config;
    this.name = config.name;
    this.#circuit = new Circuit(nowMs);
    this.#counters = counters;
    this.#onFree = onFree;
    /** @type {import('../shared/types.js').Provider & Required<Pick<import('../shared/types.js').Provider,
     *   'listModels' | 'check' | 'close'>>} */
    this.provider = createProvider(config, client);
  }

  /** @param {UpstreamConfig} config with changed models, weight or `max_concurrency` */
  adjust(config) {
    this.config = config;
  }

  get weight() {
    return this.config.weight ?? 1;
  }

  get load() {
    return this.#inFlight / this.weight;
  }

  get hasRoom() {
    return this.#inFlight < (this.config.max_concurrency ?? CALLS_MAX);
  }

  get isOpen() {
    return this.#circuit.isOpen;
  }

  get waitMs() {
    return this.#circuit.waitMs;
  }

  /**
   * Begins a call; requires that `waitMs` is 0 and `hasRoom` is true.
   * @param {string} model the upstream's name of the model
   * @returns {RoutedCall}
   */
  begin(model) {
    const isTrial = this.#circuit.needsTrial;
    this.#circuit.enter();
    this.#inFlight += 1;
    this.#counters.inFlight += 1;
    this.#counters.calls += 1;
    let answered = false;
    const onFirstEntry = () => {
      if (answered) return;
      answered = true;
      this.#circuit.onSuccess(isTrial);
      if (isTrial) this.#onFree();
    };
    return {
      upstream: this.name,
      provider: this.provider,
      model,
      isTrial,
      onFirstEntry,
      end: (outcome) => {
        this.#inFlight -= 1;
        this.#counters.inFlight -= 1;
        if (typeof outcome === 'object') this.#fail(isTrial && !answered, outcome);
        else if (outcome === 'answered') onFirstEntry();
        else if (!answered) this.#circuit.onAbandoned(isTrial);
        if (this.#closing && this.#inFlight === 0) void this.provider.close();
        this.#onFree();
      },
    };
  }

  /**
   * @param {boolean} isTrial
   * @param {CallFailure} failure
   */
  #fail(isTrial, { code, passes, retryAfterMs }) {
    if (FOREIGN_FAILURES.has(code)) {
      this.#circuit.onAbandoned(isTrial);
      return;
    }
    const { failures } = this.#counters;
    failures.set(code, (failures.get(code) ?? 0) + 1);
    if (REQUEST_FAILURES.has(code) && !passes) {
      this.#circuit.onSuccess(isTrial);
      return;
    }
    // A rate limit with a time is not a fault of the upstream.
    const counts = !(code === 'upstream_rate_limited' && (retryAfterMs ?? 0) > 0);
    this.#circuit.onFailure(isTrial, { counts, retryAfterMs });
  }

  /** Closes the provider, once the running calls have ended. */
  retire() {
    this.#closing = true;
    if (this.#inFlight === 0) void this.provider.close();
  }

  /** Closes the provider at once: running calls fail. */
  async close() {
    this.#closing = true;
    await this.provider.close();
  }
}
