/**
 * The checks of `sluice doctor` for a Redis server: each verifies one requirement of a deployment, on one
 * connection. They change nothing, and none throws.
 */
import { once } from 'node:events';
import { ok, problem, warning } from './system.js';

/** @typedef {import('./system.js').Finding} Finding */

const CONNECT_MS = 3000;
const ROUNDTRIPS = 20;
/** A round trip beyond which admissions are noticeably slower. */
const ROUNDTRIP_SLOW_MS = 5;
const CLOCK_OFF_MS = 2000;
const MEMORY_FULL = 0.8;
const MIB = 2 ** 20;

const RIGHTS =
  'Grant the rights of the ACL line in docs/scaling.md, and do not rename these commands.';

/**
 * One command of each required kind, with arguments that change nothing: the key does not exist.
 * @param {string} key
 * @returns {string[][]}
 */
const commandsFor = (key) => [
  ['EVAL', 'return 1', '1', key],
  ['EVALSHA', '0'.repeat(40), '1', key],
  ['TIME'],
  ['XADD', key, 'NOMKSTREAM', '*', 'a', 'b'],
  ['XREVRANGE', key, '+', '-', 'COUNT', '1'],
  ['HMGET', key, 'a'],
  ['HDEL', key, 'a'],
  ['SREM', key, 'a'],
  ['ZREM', key, 'a'],
  ['LPOP', key],
  ['PEXPIRE', key, '1'],
  ['DEL', key],
  ['PUBLISH', key, ''],
  ['WAIT', '0', '1'],
];

/** The checks of one server; `close()` ends the connection. */
export class RedisChecks {
  #values;
  /** @type {import('ioredis').Redis | undefined} */
  #client;
  /** @type {import('../../cluster/connection/route.js').Route | undefined} */
  #route;
  #prefix = '';
  #schema = 0;
  /** @type {Record<string, string>} */
  #info = {};

  /** @param {import('./system.js').Values} values of the flags */
  constructor(values) {
    this.#values = values;
  }

  /** @returns {[name: string, check: () => Promise<Finding>][]} in order */
  get all() {
    /** @type {[string, () => Finding | Promise<Finding>][]} */
    const checks = [
      ['redis', () => this.#connect()],
      ['latency', () => this.#checkLatency()],
      ['clock', () => this.#checkClock()],
      ['memory', () => this.#checkMemory()],
      ['disk', () => this.#checkDisk()],
      ['schema', () => this.#checkSchema()],
      ['rights', () => this.#checkRights()],
    ];
    return checks.map(([name, check]) => [name, () => this.#run(name, check)]);
  }

  /**
   * @param {string} name
   * @param {() => Finding | Promise<Finding>} check
   */
  async #run(name, check) {
    if (name !== 'redis' && this.#client === undefined) {
      return warning('not checked: there is no connection to Redis', 'See above.');
    }
    try {
      return await check();
    } catch (/** @type {any} */ error) {
      return problem(`Redis says: ${error.message}`, RIGHTS);
    }
  }

  async #connect() {
    const [{ REDIS_OPTIONS, checkServer }, { SCHEMA }, { Route }, { connectClient }] =
      await Promise.all([
        import('../../cluster/options.js'),
        import('../../cluster/cluster.js'),
        import('../../cluster/connection/route.js'),
        import('../../cluster/connection/client.js'),
      ]);
    const { default: prefixDefault } = /** @type {any} */ (
      REDIS_OPTIONS.find(({ path }) => path === 'redis.prefix')
    );
    const { redis: url, redisPrefix: prefix = prefixDefault } = this.#values;
    const { address, tls } = checkServer('redis.', { url, prefix });
    this.#prefix = `{${prefix}}:`;
    this.#schema = SCHEMA;
    this.#route = new Route({ address, tls, timeoutMs: CONNECT_MS });
    const client = connectClient({
      ...{ route: this.#route, name: 'sluice-doctor', commandTimeoutMs: CONNECT_MS },
    });
    try {
      this.#info = await this.#greet(client);
    } catch (/** @type {any} */ error) {
      client.disconnect();
      const { detailOf, wordOf } = await import('../../cluster/connection/errors.js');
      const detail = detailOf(error);
      const advice = adviceFor(wordOf(error), detail);
      return problem(`${address.shown} cannot be used: ${detail}`, advice);
    }
    this.#client = client;
    return this.#judgeServer(address.shown);
  }

  /**
   * @param {import('ioredis').Redis} client
   * @returns {Promise<Record<string, string>>} the fields of INFO
   */
  async #greet(client) {
    /** @type {Error | undefined} */
    let last;
    client.on('error', (error) => (last = error));
    try {
      await once(client, 'ready', { signal: AbortSignal.timeout(CONNECT_MS) });
    } catch {
      throw last ?? new Error(`no answer within ${CONNECT_MS / 1000} s`);
    }
    if (last !== undefined) throw last;
    const text = String(await client.call('INFO'));
    // A node of a Redis Cluster names the owner of the keys.
    if (/^redis_mode:cluster/m.test(text)) {
      const moved = await client.exists(`${this.#prefix}meta`).catch((error) => error.message);
      if (typeof moved === 'string' && this.#route?.locator.follow(moved)) {
        await once(client, 'ready', { signal: AbortSignal.timeout(CONNECT_MS) });
        return this.#greet(client);
      }
    }
    const fields = text.split(/\r?\n/).filter((line) => line.includes(':'));
    return Object.fromEntries(fields.map((line) => line.split(/:(.*)/s).slice(0, 2)));
  }

  /** @param {string} shown */
  #judgeServer(shown) {
    const { redis_version: version = '', redis_mode: mode, role, slave_read_only } = this.#info;
    const [major, minor] = version.split('.').map(Number);
    if (!(major > 6 || (major === 6 && minor >= 2))) {
      return problem(`${shown} is Redis ${version}`, 'Use 6.2 or later.');
    }
    if (mode === 'sentinel') {
      return problem(`${shown} is a Sentinel`, 'Use redis-sentinel://HOST:PORT/NAME.');
    }
    if (role === 'slave' && slave_read_only === '1') {
      return problem(`${shown} is a replica, which takes no writes`, 'Name the master.');
    }
    return ok(`${shown} is Redis ${version}, ${mode}`);
  }

  async #checkLatency() {
    const client = /** @type {import('ioredis').Redis} */ (this.#client);
    const times = [];
    for (let i = 0; i < ROUNDTRIPS; i += 1) {
      const sentMs = performance.now();
      await client.ping();
      times.push(performance.now() - sentMs);
    }
    times.sort((a, b) => a - b);
    const [median, slowest] = [times[ROUNDTRIPS / 2], times[ROUNDTRIPS - 1]];
    const message = `a round trip takes ${median.toFixed(1)} ms, ${slowest.toFixed(1)} ms at most`;
    if (median < ROUNDTRIP_SLOW_MS) return ok(message);
    return warning(message, 'Every admission and every ending waits for one: bring Redis nearer.');
  }

  async #checkClock() {
    const client = /** @type {import('ioredis').Redis} */ (this.#client);
    const sentMs = Date.now();
    const [seconds, microseconds] = /** @type {string[]} */ (await client.call('TIME'));
    const aheadMs =
      Number(seconds) * 1000 + Number(microseconds) / 1000 - (sentMs + Date.now()) / 2;
    const message = `Redis's clock is ${Math.abs(aheadMs / 1000).toFixed(1)} s ${aheadMs < 0 ? 'behind' : 'ahead of'} this machine's`;
    if (Math.abs(aheadMs) < CLOCK_OFF_MS) return ok(message);
    return warning(message, 'Times of jobs and of keys go by Redis; set both clocks by NTP.');
  }

  #checkMemory() {
    const { maxmemory_policy: policy = '', maxmemory = '0', used_memory: used } = this.#info;
    const max = Number(maxmemory);
    const uses = `uses ${Math.ceil(Number(used) / MIB)} MiB`;
    if (policy !== 'noeviction' && policy !== '') {
      return warning(
        `Redis may remove jobs to make room: maxmemory-policy ${policy}`,
        'Set maxmemory-policy noeviction.',
      );
    }
    if (max === 0) return ok(`Redis ${uses}, without a bound`);
    const message = `Redis ${uses} of ${Math.floor(max / MIB)} MiB`;
    if (Number(used) < max * MEMORY_FULL) return ok(message);
    return warning(message, 'New work gets 507 when it is full: raise maxmemory.');
  }

  #checkDisk() {
    const {
      aof_enabled: aof,
      aof_last_write_status: written,
      rdb_last_bgsave_status: saved,
    } = this.#info;
    if (aof === '1' && written === 'err') {
      return problem('Redis cannot write its file', 'Look at its log and its disk.');
    }
    if (aof === '1') return ok('Redis writes every change to a file');
    const advice = 'Set appendonly yes and appendfsync everysec, if ended jobs are to outlive it.';
    if (saved === 'err') return warning('Redis cannot write its snapshots', advice);
    return warning('Redis writes no append-only file: a restart loses the latest changes', advice);
  }

  async #checkSchema() {
    const client = /** @type {import('ioredis').Redis} */ (this.#client);
    const [schema, processes] = await Promise.all([
      client.hget(`${this.#prefix}meta`, 'schema'),
      client.hlen(`${this.#prefix}procs`),
    ]);
    if (Number(schema) > this.#schema) {
      return problem(`its data are of schema ${schema}`, 'Use the version that has written them.');
    }
    if (schema === null) return ok('no data yet');
    return ok(`data of schema ${schema}, with ${processes} processes`);
  }

  async #checkRights() {
    const client = /** @type {import('ioredis').Redis} */ (this.#client);
    const refused = [];
    for (const [name, ...args] of commandsFor(`${this.#prefix}doctor`)) {
      const { message } = await client.call(name, ...args).then(
        () => ({ message: '' }),
        (error) => error,
      );
      if (/^NOPERM|^ERR unknown command/i.test(message)) refused.push(name);
      else if (message !== '' && !message.startsWith('NOSCRIPT')) throw new Error(message);
    }
    // After it only SUBSCRIBE is possible.
    const subscribed = await client.subscribe(`${this.#prefix}doctor`).catch(() => undefined);
    if (subscribed === undefined) refused.push('SUBSCRIBE');
    if (refused.length === 0) return ok('the user has all required rights');
    return problem(`the user may not use ${refused.join(', ')} with its keys`, RIGHTS);
  }

  /** Ends the connection. */
  close() {
    this.#client?.disconnect();
    this.#route?.close();
  }
}

/** Advice by error code, see `wordOf`. @type {Record<string, string>} */
const ADVICE = {
  WRONGPASS: 'Check user and password of the URL.',
  NOAUTH: 'Check user and password of the URL.',
  DATABASE:
    'Name a database that the server has, /0 to /15 by default (`databases` in redis.conf), and that its user may select.',
  PROTOCOL: 'Name the host and the port of a Redis server; something else answers there.',
  TLS: 'See TLS in docs/scaling.md; a server without TLS takes redis:// in place of rediss://.',
};

/**
 * @param {string} word
 * @param {string} detail
 */
function adviceFor(word, detail) {
  if (Object.hasOwn(ADVICE, word)) return ADVICE[word];
  if (/certificate|SSL|TLS/i.test(detail)) return ADVICE.TLS;
  return 'Check the address, and whether the server runs.';
}
