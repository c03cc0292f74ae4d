import { EventEmitter } from 'node:events';
import { SluiceError } from '../internal/util/errors.js';
import { ioredis } from '../internal/util/packages.js';
import { redisFull, redisUnavailable } from '../jobs/errors.js';
import { scripts } from './scripts.js';

/** @typedef {import('../streams/redis-link.js').RedisState} RedisState */

/** First wait before a reconnection; it doubles up to the second. */
const RETRY_MS = 50;
const RETRY_MS_MAX = 1000;
const CONNECT_MS = 2000;
/** Interval of the probes while a command is unanswered. */
const PROBE_MS = 250;
/** A connection that answers nothing for this long is replaced. */
const SILENT_MS_MAX = 2000;
/** The first version with the commands that are used. */
const VERSION_MIN = [6, 2];

/** The first word of an error of Redis, and the state that it means. @type {Record<string, RedisState>} */
const STATES = {
  READONLY: 'readonly',
  MISCONF: 'readonly',
  NOREPLICAS: 'readonly',
  MASTERDOWN: 'unreachable',
  LOADING: 'unreachable',
  CLUSTERDOWN: 'unreachable',
  OOM: 'full',
  WRONGPASS: 'refused',
  NOAUTH: 'refused',
  NOPERM: 'refused',
  MOVED: 'refused',
  CROSSSLOT: 'refused',
};

/** Codes and explanations of what waiting does not mend. @type {Record<string, [string, string]>} */
const REFUSALS = {
  WRONGPASS: ['ERR_REDIS_AUTHENTICATION', 'does not accept the user or the password'],
  NOAUTH: ['ERR_REDIS_AUTHENTICATION', 'asks for a password'],
  NOPERM: ['ERR_REDIS_PERMISSION', 'does not let its user do this'],
  MOVED: ['ERR_REDIS_CLUSTER', 'is part of a cluster, and another node has the keys'],
  CROSSSLOT: ['ERR_REDIS_CLUSTER', 'is part of a cluster that refuses the keys'],
  VERSION: ['ERR_REDIS_VERSION', 'is older than 6.2'],
  SCHEMA: ['ERR_REDIS_SCHEMA', 'has data of a newer version of sluice'],
};

/** The first word of an error: of a script Redis puts it elsewhere. @param {Error} error */
function wordOf({ message }) {
  const known = Object.keys(STATES).find(
    (word) => message.startsWith(word) || message.includes(` ${word} `),
  );
  return known ?? message.split(' ', 1)[0];
}

/**
 * Options of a connection that reconnects for ever, and neither queues nor repeats commands.
 * @param {import('./options.js').RedisAddress} address
 * @param {string} name of the connection, in `CLIENT LIST`
 * @returns {import('ioredis').RedisOptions}
 */
export function connectionOptions({ host, port, user, password, db }, name) {
  return {
    ...{ host, port, db, protocol: 2, connectionName: name, disableClientInfo: true },
    username: user || undefined,
    password: password || undefined,
    connectTimeout: CONNECT_MS,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    autoResendUnfulfilledCommands: false,
    retryStrategy: (attempt) => {
      const waitMs = Math.min(RETRY_MS * 2 ** (attempt - 1), RETRY_MS_MAX);
      return Math.round(waitMs * (0.5 + Math.random() / 2));
    },
  };
}

/**
 * The control connection to Redis: scripts and short commands, none of which blocks. Main thread;
 * `close()` ends it.
 *
 * A command fails within `commandTimeoutMs`. After one that was not answered, others fail at once,
 * until a probe is answered. Nothing is queued while there is no connection, and nothing is sent twice.
 * `ready` is emitted after each connection; `evicts` at a server that may remove keys to make room.
 * @extends {EventEmitter<{state: [state: RedisState, detail: string], ready: [], evicts: [policy: string]}>}
 */
export class RedisClient extends EventEmitter {
  #client;
  #prefix;
  #shown;
  #closed = false;
  #silent = false;
  /** Whether the server of this connection is known to do. */
  #isChecked = false;
  #runId = '';
  /** @type {NodeJS.Timeout | undefined} */
  #probe;
  /** @type {RedisState} */
  #state = 'connecting';
  /** @type {SluiceError | undefined} */
  #refusal;

  /**
   * @param {object} options
   * @param {import('./options.js').RedisAddress} options.address
   * @param {string} options.prefix what all keys begin with: `{PREFIX}:`
   * @param {number} options.commandTimeoutMs
   * @param {string} [options.name] of the connection, in `CLIENT LIST`
   */
  constructor({ address, prefix, commandTimeoutMs, name = 'sluice' }) {
    super();
    this.#prefix = prefix;
    this.#shown = address.shown;
    const { Redis } = ioredis();
    this.#client = new Redis({
      ...connectionOptions(address, name),
      commandTimeout: commandTimeoutMs,
      maxRetriesPerRequest: 0,
    });
    this.#client.on('error', (error) => this.#onError(error));
    this.#client.on('close', () => {
      this.#isChecked = false;
      this.#stopProbing();
      if (!this.#closed && this.#state !== 'refused') this.#become('unreachable', 'no connection');
    });
    this.#client.on('ready', () => void this.#onReady());
  }

  /** What all keys begin with: `{PREFIX}:`. */
  get prefix() {
    return this.#prefix;
  }

  /** @returns {RedisState} */
  get state() {
    return this.#state;
  }

  /** Why Redis refuses this process, if it does. @returns {SluiceError | undefined} */
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

  /**
   * Runs a script of `scripts/`.
   * @param {string} name
   * @param {string[]} keys without the prefix
   * @param {(string | number | Buffer)[]} args without the first one, the prefix
   * @param {{bytes?: boolean}} [options] `bytes`: strings of the answer are Buffers
   * @returns {Promise<any>} its answer
   * @throws {import('../internal/util/http-error.js').HttpError} 503 `storage_unavailable`, 507
   *   `insufficient_storage`; `uncertain`: Redis may have run it
   */
  async run(name, keys, args, { bytes = false } = {}) {
    const { source, sha } = scripts()[name];
    const all = [keys.length, ...keys.map((key) => this.#prefix + key), this.#prefix, ...args];
    /** @param {'EVAL' | 'EVALSHA'} command @param {string} script */
    const send = (command, script) =>
      bytes
        ? this.#client.callBuffer(command, script, .../** @type {any[]} */ (all))
        : this.#client.call(command, script, .../** @type {any[]} */ (all));
    return this.#ask(async () => {
      try {
        return await send('EVALSHA', sha);
      } catch (/** @type {any} */ error) {
        if (!error.message.startsWith('NOSCRIPT')) throw error;
        return send('EVAL', source);
      }
    });
  }

  /**
   * Sends one command whose first argument is a key.
   * @param {string} name
   * @param {string} key without the prefix
   * @param {...(string | number)} args
   * @returns {Promise<any>} its answer
   * @throws {import('../internal/util/http-error.js').HttpError} as `run`
   */
  command(name, key, ...args) {
    return this.#ask(() => this.#client.call(name, this.#prefix + key, ...args));
  }

  /**
   * @returns {Promise<number>} the server's Unix time in microseconds
   * @throws {import('../internal/util/http-error.js').HttpError} as `run`
   */
  async timeUs() {
    const [seconds, microseconds] = /** @type {string[]} */ (
      await this.#ask(() => this.#client.call('TIME'))
    );
    return Number(seconds) * 1e6 + Number(microseconds);
  }

  /**
   * Sends several commands at once. They are no transaction.
   * @param {[name: string, key: string, ...args: (string | number)[]][]} commands keys without the prefix
   * @returns {Promise<any[]>} their answers
   * @throws {import('../internal/util/http-error.js').HttpError} as `run`, when one fails
   */
  commands(commands) {
    return this.#ask(() =>
      Promise.all(
        commands.map(([name, key, ...args]) =>
          this.#client.call(name, this.#prefix + key, ...args),
        ),
      ),
    );
  }

  /**
   * @template T
   * @param {() => Promise<T>} send
   */
  async #ask(send) {
    if (!this.usable) throw redisUnavailable();
    try {
      const answer = await send();
      if (this.#state !== 'ok') this.#become('ok');
      return answer;
    } catch (/** @type {any} */ error) {
      throw this.#failureOf(error);
    }
  }

  /** @param {Error} error of a command */
  #failureOf(error) {
    const word = wordOf(error);
    const state = STATES[word];
    // A command or a script is wrong.
    if (state === undefined && error.name === 'ReplyError') return error;
    if (error.message === 'Command timed out') this.#beSilent();
    if (state === 'refused') this.#refuse(word, error);
    else if (state !== undefined) this.#become(state, error.message);
    const failure = state === 'full' ? redisFull() : redisUnavailable();
    // An error of Redis itself says that nothing was done.
    return Object.assign(failure, { cause: error, uncertain: state === undefined });
  }

  /** Sends probes until one is answered, and gives the connection up when none is for too long. */
  #beSilent() {
    if (this.#silent || this.#closed) return;
    this.#silent = true;
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
    clearInterval(this.#probe);
    if (this.#isChecked) this.#become('ok');
  }

  /** Checks the server, and lets commands go. */
  async #onReady() {
    try {
      const info = String(await this.#client.call('INFO'));
      this.#checkServer(info);
    } catch (/** @type {any} */ error) {
      this.#onError(error);
      // A server that loads its data answers commands later; a closed connection calls this again.
      const again = () => this.#client.status === 'ready' && void this.#onReady();
      if (this.#state !== 'refused') setTimeout(again, PROBE_MS).unref();
    }
  }

  /** @param {string} info the server's own */
  #checkServer(info) {
    const valueOf = (/** @type {string} */ name) =>
      new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
    const version = valueOf('redis_version');
    const [major, minor] = version.split('.').map(Number);
    if (major < VERSION_MIN[0] || (major === VERSION_MIN[0] && minor < VERSION_MIN[1])) {
      this.#refuse('VERSION', new Error(`its version is ${version}`));
      return;
    }
    this.#runId = valueOf('run_id');
    const policy = valueOf('maxmemory_policy');
    if (policy !== '' && policy !== 'noeviction') this.emit('evicts', policy);
    this.#isChecked = true;
    this.#refusal = undefined;
    this.#become('ok');
    this.emit('ready');
  }

  /** @param {Error} error of the connection */
  #onError(error) {
    const word = wordOf(error);
    if (STATES[word] === 'refused') this.#refuse(word, error);
    else if (this.#state !== 'refused') this.#become('unreachable', error.message);
  }

  /**
   * @param {string} word
   * @param {Error} cause
   */
  #refuse(word, cause) {
    const [code, why] = REFUSALS[word];
    const message = `Redis at ${this.#shown} ${why} (${cause.message}).`;
    this.#refusal = new SluiceError(code, message, { cause });
    this.#become('refused', message);
  }

  /** @param {string} schema that a newer version has written */
  refuseSchema(schema) {
    this.#refuse('SCHEMA', new Error(`schema ${schema}`));
  }

  /**
   * @param {RedisState} state
   * @param {string} [detail]
   */
  #become(state, detail = '') {
    if (this.#state === state || this.#closed) return;
    this.#state = state;
    this.emit('state', state, detail);
  }

  /** Ends the connection; commands without an answer fail. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#probe);
    this.#client.disconnect();
  }
}
