import { HttpError } from '../internal/util/http-error.js';
import { RedisClient } from './client/redis-client.js';
import { RedisClock } from './client/redis-clock.js';
import { ScriptCalls } from './client/script-calls.js';
import { SCHEMA } from './cluster.js';
import { SharedKv } from './kv/shared-kv.js';
import { SharedLedger } from './ledger/shared-ledger.js';
import { SharedQuota } from './quota/shared-quota.js';
import { SluiceError, rangeError } from '../internal/util/errors.js';
import { KvStoreInRedis } from './kv/store.js';
import { KV_LIMIT_ROWS, checkLimits } from '../primitives/kv/options.js';
import { subscriber } from './client/subscription.js';
import { REDIS_OPTIONS, checkServer } from './options.js';
import { checkClock, checkOptions, checkString } from '../internal/util/validate.js';
import { checkTable } from '../internal/util/option-table.js';

/** Time limit of `openRedis` for the first answer. */
const OPEN_MS = 2000;
/** Age at which Redis's clock is read again. */
const CLOCK_AGE_MS_MAX = 60_000;

/** The options that `openRedis` shares with the gateway. */
const ROWS = REDIS_OPTIONS.filter(({ path }) =>
  ['url', 'prefix', 'commandTimeoutMs', 'waitReplicas', 'tls'].includes(
    path.slice('redis.'.length),
  ),
).map((row) => ({ ...row, path: row.path.slice('redis.'.length) }));

/**
 * @typedef {object} OpenRedisOptions
 * @property {string} url `redis://[user[:password]@]host[:port][/db]`, `rediss://`, or `redis-sentinel://`
 * @property {string} [prefix] first part of all keys, 1 to 64 of A-Z, a-z, 0-9, _, . and -; default
 *   `sluice`. Handles with the same server and prefix share their state
 * @property {import('../internal/time/clock.js').ManualClock} [clock] replaces the server's clock, for tests
 * @property {number} [commandTimeoutMs] time limit of a command; default 1000
 * @property {number} [waitReplicas] replicas that must hold a permanent change before a call
 *   resolves; default 0
 * @property {import('./connection/tls-options.js').RedisTls} [tls] certificates and other options of TLS, for
 *   `rediss://`
 */

/**
 * @typedef {Omit<import('../primitives/kv/options.js').KvStoreOptions, 'clock'> & {name?: string}}
 *   SharedKvOptions `name` of the store, 1 to 64 of A-Z, a-z, 0-9, _, . and -; default `default`. The other options
 *   are those of `KvStore`
 */

const KV_OPTIONS = ['name', ...KV_LIMIT_ROWS.map(({ path }) => path)];
const STORE_NAME = /^[\w.-]{1,64}$/;

/** @param {string} [name] of a store @returns {string} */
function checkStoreName(name = 'default') {
  if (STORE_NAME.test(checkString('name', name))) return name;
  throw rangeError('name takes 1 to 64 of A-Z, a-z, 0-9, _, . and -');
}

/** Codes and texts of the states in which Redis refuses calls. */
const FAILURES = /** @type {const} */ ({
  full: ['ERR_REDIS_FULL', 'has no memory left'],
  readonly: ['ERR_REDIS_READONLY', 'takes no writes'],
  unreachable: ['ERR_REDIS_UNREACHABLE', 'does not answer'],
});

/**
 * The state of building blocks in Redis, shared by all processes that open the same server and prefix.
 * Made by `openRedis`; main thread; `close()` ends it.
 */
export class SharedRedis {
  #redis;
  #clock;
  #calls;
  #subscribe;
  /** By key. @type {Map<string, KvStoreInRedis>} */
  #stores = new Map();
  /** @type {Promise<void> | undefined} */
  #closing;
  /** Calls that wait for an answer. @type {Set<Promise<unknown>>} */
  #open = new Set();

  /**
   * @param {object} deps
   * @param {RedisClient} deps.redis a connected client
   * @param {RedisClock} deps.redisClock a clock that has been read
   * @param {import('./kv/change-feed.js').Subscribe} deps.subscribe
   * @param {import('../internal/time/clock.js').ManualClock} [deps.clock]
   */
  constructor({ redis, redisClock, subscribe, clock }) {
    this.#subscribe = subscribe;
    this.#redis = redis;
    this.#clock = redisClock;
    this.#calls = new ScriptCalls({
      send: (...call) => this.#run(call),
      runId: () => redis.runId,
      ...{ redisClock, clock },
      failureOf: (error) => (error instanceof HttpError ? failureOf(redis, error) : error),
    });
    redis.on('ready', () => void redisClock.sync().catch(() => {}));
  }

  /**
   * A key-value store. Handles of the same name, in all processes, share its keys; the limits are those of
   * each handle.
   * @template [V=import('../primitives/kv/values.js').KvValue]
   * @param {SharedKvOptions} [options]
   * @returns {SharedKv<V>}
   */
  kv(options) {
    const { name, ...limits } = checkOptions('options', options, KV_OPTIONS);
    const store = `kv:store:${checkStoreName(name)}`;
    let opened = this.#stores.get(store);
    if (opened === undefined) {
      const { calls, subscribe } = { calls: this.#calls, subscribe: this.#subscribe };
      opened = new KvStoreInRedis({ calls, subscribe, name: store, prefix: this.#redis.prefix });
      this.#stores.set(store, opened);
    }
    return new SharedKv({ calls: this.#calls, store: opened, limits: checkLimits(limits) });
  }

  /**
   * A quota, as `Quota`; its methods return promises.
   * @param {import('./quota/shared-quota.js').SharedQuotaOptions} options
   * @returns {SharedQuota}
   * @throws {TypeError | RangeError} naming the option
   */
  quota(options) {
    const { name, ...rest } = checkOptions('options', options);
    const nowUs = () => Math.floor(this.#clock.unixMs() * 1000);
    const key = `quota:${checkStoreName(name)}`;
    return new SharedQuota({ calls: this.#calls, nowUs, key }, rest);
  }

  /** @param {Parameters<RedisClient['run']>} call */
  async #run(call) {
    if (this.#closing !== undefined) throw this.#closedError();
    const answer = this.#redis.run(...call);
    this.#open.add(answer);
    try {
      return await answer;
    } finally {
      this.#open.delete(answer);
    }
  }

  #closedError() {
    const message = `the connection to Redis at ${this.#redis.shown} is closed`;
    return new SluiceError('ERR_REDIS_CLOSED', message);
  }

  /**
   * The ledger of this server and prefix: accounts in micro-credits, holds and a journal.
   * @param {{}} [options] no options yet
   * @returns {SharedLedger}
   */
  ledger(options) {
    checkOptions('ledger', options, []);
    return new SharedLedger(this.#calls);
  }

  /**
   * Waits for the answers to calls in progress, then ends the connection and all watches. Every later call
   * rejects with ERR_REDIS_CLOSED.
   * @returns {Promise<void>}
   */
  close() {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close() {
    for (const store of this.#stores.values()) store.close(this.#closedError());
    await Promise.allSettled(this.#open);
    this.#redis.close();
  }
}

/**
 * @param {RedisClient} redis
 * @param {any} error of a command
 */
function failureOf(redis, error) {
  if (redis.refusal !== undefined) return redis.refusal;
  const cause = error.cause ?? error;
  const isFull = error.status === 507;
  const state = isFull ? 'full' : redis.state === 'readonly' ? 'readonly' : 'unreachable';
  const [code, words] = FAILURES[state];
  const detail = cause === error ? '' : ` (${cause.message})`;
  const message = `Redis at ${redis.shown} ${words}${detail}`;
  return new SluiceError(code, message, { cause, uncertain: error.uncertain === true });
}

/**
 * Resolves at the first answer of the server.
 * @param {RedisClient} redis
 * @returns {Promise<void>}
 * @throws {SluiceError} `ERR_REDIS_...`
 */
async function answered(redis) {
  let detail = 'no connection in time';
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, OPEN_MS);
    const done = () => {
      clearTimeout(timer);
      resolve(undefined);
    };
    redis.once('ready', done);
    redis.on('state', (state, problem) => {
      if (problem !== '' && problem !== 'no connection') detail = problem;
      if (state === 'refused') done();
    });
  });
  if (redis.refusal !== undefined) throw redis.refusal;
  if (!redis.usable) {
    const message = `Redis at ${redis.shown} does not answer (${detail})`;
    throw new SluiceError('ERR_REDIS_UNREACHABLE', message);
  }
}

/**
 * `openRedis`, which documents it.
 * @param {OpenRedisOptions} options
 * @returns {Promise<SharedRedis>}
 */
export async function connect(options) {
  const known = [...ROWS.map(({ path }) => path), 'clock'];
  const { clock, ...given } = checkOptions('openRedis', options, known);
  const checked = checkTable('openRedis', ROWS, given);
  const manual = checkClock('clock', clock);
  const server = checkServer('', checked);
  const { commandTimeoutMs, waitReplicas, prefix } = checked;
  const redis = new RedisClient({
    ...{ ...server, prefix: `{${prefix}}:`, commandTimeoutMs, waitReplicas },
  });
  const redisClock = new RedisClock({ redis, commandTimeoutMs, ageMsMax: CLOCK_AGE_MS_MAX });
  try {
    await answered(redis);
    await redisClock.sync();
    const schema = await redis.command('HGET', 'meta', 'schema');
    if (Number(schema) > SCHEMA) redis.refuseSchema(schema);
    if (redis.refusal !== undefined) throw redis.refusal;
  } catch (error) {
    redis.close();
    throw error instanceof HttpError ? failureOf(redis, error) : error;
  }
  const subscribe = subscriber(redis.route);
  return new SharedRedis({ redis, redisClock, subscribe, clock: manual });
}
