import { isDeepStrictEqual } from 'node:util';
import { CALLS_MAX, Upstream, newCounters } from './upstream.js';
import { checkClock, checkOptions } from '../../internal/util/validate.js';
import { checkRouteConfig, pickRouteConfig } from './options.js';
import { DEFAULT_FEATURES } from '../shared/features.js';
import { JobRoute } from './job-route.js';
import { ModelTable } from './model-table.js';
import { requestRefusal } from '../shared/errors.js';

/** @typedef {import('./options.js').RouteOptions} RouteOptions */
/** @typedef {import('./options.js').RouteConfig} RouteConfig */
/** @typedef {import('./options.js').UpstreamConfig} UpstreamConfig */
/** @typedef {import('./job-route.js').ServedHere} ServedHere */

/** Default of the gateway's concurrent calls: jobs that wait for room are counted. */
const GATEWAY_CALLS_MAX = 16 * CALLS_MAX;

/** Whether two configurations lead to the same calls. @param {UpstreamConfig} a @param {UpstreamConfig} b */
function makeSameCalls(a, b) {
  const rest = { models: undefined, weight: undefined, max_concurrency: undefined };
  return isDeepStrictEqual({ ...a, ...rest }, { ...b, ...rest });
}

/**
 * The provider that sends each job to one of several upstreams.
 *
 * A job goes to an upstream that serves its model: by an exact name, else an alias, else the longest
 * pattern; among several to the one with the fewest calls in flight per weight. After a transient failure
 * before the first entry it continues at another upstream, then with the fallback models. Main thread;
 * `close()` ends it.
 */
export class RouteProvider {
  name = 'route';
  takesBatches = false;
  enforcesMaxTokens = true;
  maxConcurrency = GATEWAY_CALLS_MAX;
  #nowMs;
  #client;
  /** @type {Upstream[]} in the order of the configuration */
  #upstreams = [];
  /** @type {Map<string, import('./upstream.js').Counters>} by name */
  #counters = new Map();
  /** @type {ModelTable<Upstream>} */
  #table = new ModelTable([]);
  /** @type {Record<string, string[]>} */
  #fallbacks = {};
  /** Jobs that wait for room; each retries and returns. @type {Set<() => void>} */
  #waiters = new Set();
  #pass = 0;

  /** @param {RouteOptions} options */
  constructor(options) {
    const known = ['upstreams', 'fallbacks', 'client', 'clock'];
    const given = checkOptions('providers.route: options', options, known);
    const clock = checkClock('clock', given.clock);
    this.#nowMs = clock === undefined ? () => performance.now() : () => clock.nowMs();
    this.#client = given.client;
    this.reload(/** @type {RouteConfig} */ (pickRouteConfig({ ...given }) ?? {}));
  }

  /** The models named in the configuration, without patterns; the first is the default. */
  get models() {
    return this.#table.names.map((id) => ({ id }));
  }

  /** The features of at least one upstream. */
  get features() {
    const all = this.#upstreams.map(({ provider }) => provider.features ?? DEFAULT_FEATURES);
    return [...new Set(all.flat())];
  }

  /** Whether at least one upstream has Anthropic's dialect. */
  get takesMessages() {
    return this.#upstreams.some(({ provider }) => provider.takesMessages === true);
  }

  /**
   * Replaces the upstreams. Running calls continue; circuits and connections of upstreams with
   * the same address and credentials stay.
   * @param {RouteConfig} config
   * @throws {TypeError | RangeError} naming the invalid member; the present upstreams are kept
   */
  reload(config) {
    const { upstreams, fallbacks = {} } = checkRouteConfig(config);
    const before = new Map(this.#upstreams.map((upstream) => [upstream.name, upstream]));
    /** @type {Upstream[]} */
    const now = [];
    for (const entry of upstreams) {
      const known = before.get(entry.name);
      const isKept = known !== undefined && makeSameCalls(known.config, entry);
      now.push(isKept ? known : this.#createUpstream(entry));
    }
    now.forEach((upstream, i) => upstream.adjust(upstreams[i]));
    this.#upstreams = now;
    this.#fallbacks = fallbacks;
    this.#table = new ModelTable(now.map((upstream) => ({ upstream, ...upstream.config })));
    for (const upstream of before.values()) if (!now.includes(upstream)) upstream.retire();
    this.#wake();
  }

  /** @param {UpstreamConfig} config */
  #createUpstream(config) {
    const counters = this.#counters.get(config.name) ?? newCounters();
    this.#counters.set(config.name, counters);
    const onFree = () => this.#wake();
    return new Upstream(config, { nowMs: this.#nowMs, counters, onFree, client: this.#client });
  }

  /** @param {string} model */
  serves(model) {
    return this.#table.serves(model);
  }

  /** @param {string} model @returns {number} milliseconds; 0: an upstream, or one of a fallback, is open */
  unavailableMs(model) {
    const waits = this.candidates(model).flat();
    return waits.length === 0 ? 0 : Math.min(...waits.map(({ upstream }) => upstream.waitMs));
  }

  /**
   * @param {string} model
   * @returns {ServedHere[][]} upstreams of the model, then of each fallback
   */
  candidates(model) {
    const fallbacks = Object.hasOwn(this.#fallbacks, model) ? this.#fallbacks[model] : [];
    return [model, ...fallbacks].map((name) => this.#table.find(name));
  }

  /** @param {string} model @returns {import('../shared/types.js').Route} */
  route(model) {
    return new JobRoute(this, model);
  }

  /**
   * @param {ServedHere} served with room
   * @returns {import('../shared/types.js').RoutedCall}
   */
  begin({ upstream, model }) {
    // Stride scheduling: an upstream without calls for a while does not catch up.
    upstream.pass = Math.max(upstream.pass, this.#pass);
    this.#pass = upstream.pass;
    upstream.pass += 1 / upstream.weight;
    return upstream.begin(model);
  }

  /**
   * @param {() => void} tryAgain called when an upstream may have room
   * @returns {() => void} ends the wait
   */
  onRoom(tryAgain) {
    this.#waiters.add(tryAgain);
    return () => this.#waiters.delete(tryAgain);
  }

  #wake() {
    for (const tryAgain of [...this.#waiters]) tryAgain();
  }

  /**
   * The models named in the configuration, and those that upstreams list and serve.
   * @returns {Promise<import('../shared/types.js').ModelInfo[]>} never rejects
   */
  async listModels() {
    /** @type {Map<Upstream, Map<string, number>>} dates by id */
    const lists = new Map();
    await Promise.all(
      this.#upstreams.map(async (upstream) => {
        const listed = await upstream.provider.listModels();
        lists.set(upstream, new Map(listed.map(({ id, created }) => [id, created])));
      }),
    );
    const named = new Set(this.#table.names);
    const listed = this.#upstreams.flatMap((upstream) => [...(lists.get(upstream)?.keys() ?? [])]);
    return [...new Set([...named, ...listed])].flatMap((id) => {
      const served = this.#table
        .find(id)
        .find(({ upstream }) => named.has(id) || lists.get(upstream)?.has(id));
      if (served === undefined) return [];
      const { upstream, model } = served;
      return [{ id, created: lists.get(upstream)?.get(model) ?? 0, ownedBy: upstream.name }];
    });
  }

  /**
   * Makes embeddings at an upstream with the model; tries one upstream after the other, like a job.
   * @param {import('../shared/types.js').EmbeddingCall} asked
   * @param {{signal: AbortSignal, onCall?: import('../shared/types.js').OnCall}} options
   * @returns {Promise<import('../shared/types.js').EmbeddingAnswer>}
   * @throws {import('../shared/errors.js').ProviderError}
   */
  async embed(asked, { signal, onCall }) {
    const way = this.route(asked.model);
    way.beginRound();
    /** @type {any} */
    let failure;
    for (;;) {
      const call = await way.next(signal, { again: false });
      if (call === undefined) break;
      try {
        if (call.provider.embed === undefined) throw withoutEmbeddings(call.upstream);
        const answer = await call.provider.embed(
          { ...asked, model: call.model },
          { signal, onCall },
        );
        call.end('answered');
        return answer;
      } catch (/** @type {any} */ error) {
        const {
          wireCode: code = 'provider_error',
          elsewhere: passes = false,
          retryAfterMs,
        } = error;
        const isOwn = call.provider.embed === undefined || signal.aborted;
        call.end(isOwn ? 'abandoned' : { code, passes, retryAfterMs });
        failure = error;
        if (signal.aborted || error.elsewhere !== true) break;
      }
    }
    signal.throwIfAborted();
    throw failure ?? way.unavailable();
  }

  /** @returns {Promise<import('../shared/types.js').UpstreamProblem[]>} */
  async check() {
    const problems = await Promise.all(
      this.#upstreams.map(async ({ name, provider }) =>
        (await provider.check()).map((problem) => ({ ...problem, upstream: name })),
      ),
    );
    return problems.flat();
  }

  /** @returns {import('../shared/types.js').UpstreamFigures[]} by upstream, removed ones included */
  figures() {
    const current = new Map(this.#upstreams.map((upstream) => [upstream.name, upstream]));
    return [...this.#counters].map(([name, { calls, inFlight, failures }]) => {
      return { name, calls, inFlight, failures, open: current.get(name)?.isOpen ?? false };
    });
  }

  /** Closes every upstream; running calls fail. Idempotent. */
  async close() {
    await Promise.all(this.#upstreams.map((upstream) => upstream.close()));
  }
}

/** @param {string} upstream */
function withoutEmbeddings(upstream) {
  const message = `The upstream ${upstream} makes no embeddings`;
  return requestRefusal(message, { code: 'unsupported_feature', param: 'model', elsewhere: true });
}

/**
 * @param {RouteOptions} options
 * @returns {RouteProvider}
 * @throws {TypeError | RangeError} naming the invalid member, as in `upstreams[0].base_url`
 */
export function route(options) {
  return new RouteProvider(options);
}
