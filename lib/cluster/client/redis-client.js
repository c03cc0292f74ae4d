import { EventEmitter } from 'node:events';
import { SluiceError } from '../../internal/util/errors.js';
import { Route } from '../connection/route.js';
import { LEAVE, REFUSALS, STATES, detailOf, withCommand, wordOf } from '../connection/errors.js';
import { KEPT, ReplicaWait } from '../connection/replica-wait.js';
import { connectClient } from '../connection/client.js';
import { redisFull, redisUnavailable } from '../../jobs/errors.js';
import { scripts } from './scripts.js';

/** @typedef {import('../../streams/redis-link.js').RedisState} RedisState */

/** Interval of the probes while a command is unanswered. */
const PROBE_MS = 250;
/** A connection without an answer for this long is replaced. */
const SILENT_MS_MAX = 2000;
/** The first version of Redis with all commands that Sluice uses. */
const VERSION_MIN = [6, 2];

/**
 * The control connection to Redis: scripts and short commands, none of which blocks. Main thread;
 * `close()` ends it.
 *
 * A command fails within `commandTimeoutMs`. After one that was not answered, others fail at once,
 * until Redis answers a probe. Commands are never queued while there is no connection, and never sent twice.
 * `ready` is emitted after each connection; `evicts` at a server that may remove keys to make room.
 * `replicas`: whether enough replicas have answered in time, emitted at each change.
 * @extends {EventEmitter<{state: [state: RedisState, detail: string], ready: [], evicts: [policy: string],
 *   replicas: [has: boolean]}>}
 */
export class RedisClient extends EventEmitter {
  #client;
  /** @type {ReplicaWait | undefined} */
  #replicas;
  #route;
  #prefix;
  #shown;
  #closed = false;
  #silent = false;
  /** Whether the client is leaving this server for another one. */
  #isLeaving = false;
  /** Whether the server of this connection has passed the checks. */
  #isChecked = false;
  #runId = '';
  #nowMs;
  /** Time since which no commands can be sent; Infinity: they can be sent. */
  #unusableMs;
  /** @type {NodeJS.Timeout | undefined} */
  #probe;
  /** @type {RedisState} */
  #state = 'connecting';
  /** @type {SluiceError | undefined} */
  #refusal;
  /** The call that was refused last; empty: none since the state changed, or all. */
  #refused = '';

  /**
   * @param {object} options
   * @param {import('../connection/address.js').RedisAddress} options.address
   * @param {string} options.prefix prefix of all keys: `{PREFIX}:`
   * @param {number} options.commandTimeoutMs
   * @param {Route} [options.route] to that address, shared with others; default: one of its own
   * @param {import('../connection/tls-options.js').RedisTls} [options.tls] of that route
   * @param {number} [options.waitReplicas] replicas that must hold a permanent change; default 0
   * @param {string} [options.name] of the connection, in `CLIENT LIST`
   * @param {() => number} [options.nowMs] monotonic milliseconds; default `performance.now`
   */
  constructor({
    address,
    prefix,
    commandTimeoutMs,
    tls,
    route,
    waitReplicas = 0,
    name = 'sluice',
    nowMs = () => performance.now(),
  }) {
    super();
    this.#nowMs = nowMs;
    this.#unusableMs = nowMs();
    this.#route = route ?? new Route({ address, tls, timeoutMs: commandTimeoutMs });
    this.#prefix = prefix;
    this.#shown = address.shown;
    this.#client = connectClient({ route: this.#route, commandTimeoutMs, name });
    if (waitReplicas > 0) {
      this.#replicas = new ReplicaWait({
        client: connectClient({ route: this.#route, commandTimeoutMs, name: `${name}:replicas` }),
        key: `${prefix}replicated`,
        ...{ count: waitReplicas, timeoutMs: commandTimeoutMs },
      });
      this.#replicas.on('change', (has) => this.emit('replicas', has));
    }
    this.#client.on('error', (error) => this.#onError(error));
    this.#client.on('close', () => {
      this.#isChecked = false;
      this.#noteUsable();
      this.#stopProbing();
      if (this.#closed || this.#isLeaving || this.#state === 'refused') return;
      this.#become('unreachable', 'no connection');
    });
    this.#client.on('ready', () => void this.#onReady());
  }

  /** The route to the server, shared with the native link. */
  get route() {
    return this.#route;
  }

  /** The prefix of all keys: `{PREFIX}:`. */
  get prefix() {
    return this.#prefix;
  }

  /** @returns {RedisState} */
  get state() {
    return this.#state;
  }

  /** The error for which Redis refuses this process, if any. @returns {SluiceError | undefined} */
  get refusal() {
    return this.#refusal;
  }

  /** The URL without its password. */
  get shown() {
    return this.#shown;
  }

  /** The name of the server's run: another one after a restart, or on another server. */
  get runId() {
    return this.#runId;
  }

  /** Whether commands can be sent now. */
  get usable() {
    return this.#isChecked && !this.#silent && this.#client.status === 'ready';
  }

  /** Milliseconds since commands can no longer be sent; 0 while they can. */
  get silentMs() {
    return this.#unusableMs === Infinity ? 0 : this.#nowMs() - this.#unusableMs;
  }

  #noteUsable() {
    this.#unusableMs = this.usable ? Infinity : Math.min(this.#unusableMs, this.#nowMs());
  }

  /**
   * Runs a script of `scripts/`.
   * @param {string} name
   * @param {string[]} keys without the prefix
   * @param {(string | number | Uint8Array)[]} args without the first one, the prefix
   * @param {{bytes?: boolean, isKept?: boolean}} [options] `bytes`: strings of the answer are Buffers;
   *   `isKept`: the answer waits for replicas, where any are waited for
   * @returns {Promise<any>} its answer
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 `storage_unavailable`, 507
   *   `insufficient_storage`; `uncertain`: Redis may have run it
   */
  async run(name, keys, args, { bytes = false, isKept = KEPT.has(name) } = {}) {
    const script = scripts()[name];
    const all = [keys.length, ...keys.map((key) => this.#prefix + key), this.#prefix, ...args];
    /** @param {'EVAL' | 'EVALSHA'} command @param {string} which */
    const send = (command, which) =>
      bytes
        ? this.#client.callBuffer(command, which, .../** @type {any[]} */ (all))
        : this.#client.call(command, which, .../** @type {any[]} */ (all));
    const answer = await this.#ask(name, async () => {
      try {
        return await send('EVALSHA', script.sha);
      } catch (/** @type {any} */ error) {
        if (!error.message.startsWith('NOSCRIPT')) throw withCommand(error, script);
      }
      return send('EVAL', script.source).catch((error) => {
        throw withCommand(error, script);
      });
    });
    if (isKept) await this.#replicas?.wait();
    return answer;
  }

  /**
   * Sends one command whose first argument is a key.
   * @param {string} name
   * @param {string} key without the prefix
   * @param {...(string | number)} args
   * @returns {Promise<any>} its answer
   * @throws {import('../../internal/util/http-error.js').HttpError} as `run`
   */
  command(name, key, ...args) {
    return this.#ask(name, () => this.#client.call(name, this.#prefix + key, ...args));
  }

  /**
   * @returns {Promise<number>} the server's Unix time in microseconds
   * @throws {import('../../internal/util/http-error.js').HttpError} as `run`
   */
  async timeUs() {
    const [seconds, microseconds] = /** @type {string[]} */ (
      await this.#ask('TIME', () => this.#client.call('TIME'))
    );
    return Number(seconds) * 1e6 + Number(microseconds);
  }

  /**
   * Sends several commands at once. They are no transaction.
   * @param {[name: string, key: string, ...args: (string | number)[]][]} commands keys without the prefix
   * @returns {Promise<any[]>} their answers
   * @throws {import('../../internal/util/http-error.js').HttpError} as `run`, when one fails
   */
  commands(commands) {
    return this.#ask('several', () =>
      Promise.all(
        commands.map(([name, key, ...args]) =>
          this.#client.call(name, this.#prefix + key, ...args),
        ),
      ),
    );
  }

  /**
   * @template T
   * @param {string} call name of the script or the command
   * @param {() => Promise<T>} send
   */
  async #ask(call, send) {
    if (!this.usable) throw redisUnavailable();
    try {
      const answer = await send();
      // Calls that need fewer rights say nothing of one that was refused.
      if (this.#state !== 'ok' && (this.#refused === '' || this.#refused === call)) {
        this.#become('ok');
      }
      return answer;
    } catch (/** @type {any} */ error) {
      throw this.#failureOf(call, error);
    }
  }

  /**
   * @param {string} call
   * @param {Error} error of it
   */
  #failureOf(call, error) {
    const word = wordOf(error);
    const state = STATES[word];
    // The command or the script has a fault.
    if (state === undefined && error.name === 'ReplyError') return error;
    if (error.message === 'Command timed out') this.#beSilent();
    if (state === 'refused') this.#refuse(word, error, call);
    else if (state !== undefined) this.#become(state, error.message);
    if (LEAVE.has(word)) this.#leave(error);
    const failure = state === 'full' ? redisFull() : redisUnavailable();
    // Redis itself reports the error: the command had no effect. But a script may have got as far as a refused command.
    const uncertain = state === undefined || state === 'refused';
    return Object.assign(failure, { cause: error, uncertain });
  }

  /**
   * Leaves a server that does not accept writes (any more).
   * @param {Error} error by which the server shows this
   */
  #leave({ message }) {
    this.#isChecked = false;
    this.#noteUsable();
    this.#isLeaving = true;
    this.#route.locator.follow(message);
    this.#client.disconnect(true);
  }

  /** Sends probes until Redis answers one; closes the connection after too long without an answer. */
  #beSilent() {
    if (this.#silent || this.#closed) return;
    this.#silent = true;
    this.#noteUsable();
    this.#become('unreachable', 'no answer in time');
    const sinceMs = performance.now();
    const probe = () => {
      this.#client.ping().then(
        () => this.#stopProbing(),
        () => {},
      );
      if (performance.now() - sinceMs < SILENT_MS_MAX) return;
      this.#stopProbing();
      this.#client.disconnect(true);
    };
    this.#probe = setInterval(probe, PROBE_MS);
    this.#probe.unref();
    probe();
  }

  #stopProbing() {
    if (!this.#silent) return;
    this.#silent = false;
    this.#noteUsable();
    clearInterval(this.#probe);
    if (this.#isChecked) this.#become('ok');
  }

  /** Checks the server, then allows commands. */
  async #onReady() {
    this.#isLeaving = false;
    try {
      // ioredis continues with database 0 when it has no permission to select another one.
      if (this.#route.address.db !== 0) await this.#client.select(this.#route.address.db);
      const info = String(await this.#client.call('INFO'));
      // A node of a Redis Cluster names the owner of the keys before the first script runs.
      if (/^redis_mode:cluster/m.test(info)) await this.#client.exists(`${this.#prefix}meta`);
      this.#checkServer(info);
    } catch (/** @type {any} */ error) {
      this.#onError(error);
      if (LEAVE.has(wordOf(error))) this.#leave(error);
      // A server that loads its data answers commands later; a closed connection calls this again.
      const again = () => this.#client.status === 'ready' && void this.#onReady();
      if (this.#state !== 'refused') setTimeout(again, PROBE_MS).unref();
    }
  }

  /** @param {string} info output of INFO */
  #checkServer(info) {
    const valueOf = (/** @type {string} */ name) =>
      new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
    const version = valueOf('redis_version');
    const [major, minor] = version.split('.').map(Number);
    if (major < VERSION_MIN[0] || (major === VERSION_MIN[0] && minor < VERSION_MIN[1])) {
      this.#refuse('VERSION', new Error(`its version is ${version}`));
      return;
    }
    if (valueOf('redis_mode') === 'sentinel') {
      this.#refuse('SENTINEL', new Error('use redis-sentinel://'));
      return;
    }
    if (valueOf('role') === 'slave' && valueOf('slave_read_only') === '1') {
      const reason = new Error('a replica, which takes no writes');
      this.#become('readonly', reason.message);
      setTimeout(() => this.#leave(reason), PROBE_MS).unref();
      return;
    }
    this.#runId = valueOf('run_id');
    const policy = valueOf('maxmemory_policy');
    if (policy !== '' && policy !== 'noeviction') this.emit('evicts', policy);
    this.#isChecked = true;
    this.#noteUsable();
    this.#refusal = undefined;
    this.#become('ok');
    this.emit('ready');
  }

  /** @param {Error} error of the connection */
  #onError(error) {
    const word = wordOf(error);
    if (Object.hasOwn(REFUSALS, word)) this.#refuse(word, error);
    else if (this.#state !== 'refused') this.#become('unreachable', detailOf(error));
  }

  /**
   * @param {string} word
   * @param {Error} cause
   * @param {string} [call] that was refused; default: all of them are
   */
  #refuse(word, cause, call = '') {
    this.#refused = call;
    const [code, reason] = REFUSALS[word];
    const message = `Redis at ${this.#shown} ${reason} (${detailOf(cause)}).`;
    this.#refusal = new SluiceError(code, message, { cause });
    this.#become('refused', message);
  }

  /** @param {string} schema written by a newer version */
  refuseSchema(schema) {
    this.#refuse('SCHEMA', new Error(`schema ${schema}`));
  }

  /**
   * @param {RedisState} state
   * @param {string} [detail]
   */
  #become(state, detail = '') {
    if (this.#state === state || this.#closed) return;
    if (state !== 'refused') this.#refused = '';
    this.#state = state;
    this.emit('state', state, detail);
  }

  /** Ends the connection; commands without an answer fail. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#probe);
    this.#client.disconnect();
    this.#replicas?.close();
    this.#route.close();
  }
}
