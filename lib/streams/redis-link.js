import { EventEmitter } from 'node:events';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import native from '../internal/native/addon.js';
import { EventKind } from '../internal/native/reactor.js';
import { SluiceError } from '../internal/util/errors.js';

/** Interval of look-ups of the server's name while Redis does not answer. */
const LOOKUP_MS = 1000;

/**
 * `connecting` before the first answer; `unreachable` no connection, no answer in time, or loading;
 * `readonly` a replica, or a server that refuses writes; `full` no memory left; `refused` a lasting
 * fault.
 * @typedef {'connecting' | 'ok' | 'unreachable' | 'readonly' | 'full' | 'refused'} RedisState
 */

/**
 * The answer to a beat, from the script `beat`. The times are those of `performance.now()`.
 * @typedef {object} Beat
 * @property {number} seconds of Redis's clock
 * @property {number} microseconds
 * @property {boolean} member false: this process was counted dead, or Redis has lost its data
 * @property {string[]} processes name, beat, name, beat, ... of all members
 * @property {number} dead number of dead processes with jobs to take over
 * @property {number} offered number of jobs without an owner
 * @property {string[]} messages to this process
 * @property {number} sentMs
 * @property {number} answeredMs
 */

/**
 * Facts about a server, from INFO.
 * @typedef {object} RedisServer
 * @property {string} version
 * @property {string} mode `standalone` or `cluster`
 * @property {string} evictionPolicy `maxmemory-policy`
 * @property {number} memoryMax `maxmemory` in bytes; 0: no bound
 * @property {boolean} writesAppendFile `appendonly`
 */

/**
 * @typedef {object} RedisFigures
 * @property {RedisState} state
 * @property {number} connections of the writer since the start
 * @property {number} pipelines that the job log sent
 * @property {number} commands in those
 * @property {number} beats that were answered
 * @property {number} channels subscribed now
 * @property {number} roundtripMs of the last beat; 0 before the first
 */

/**
 * `state`: a change, with a one-line reason. `server`: after each connection of the writer.
 * `subscribed`: messages on this channel will arrive; emitted again after each reconnection, because messages
 * in between were lost.
 * @typedef {{state: [state: RedisState, detail: string], beat: [beat: Beat],
 *   server: [server: RedisServer], subscribed: [channel: string],
 *   message: [channel: string, text: string]}} RedisLinkEvents
 */

/**
 * @typedef {object} LinkAddress
 * @property {string} host a name or an IP address
 * @property {number} port
 * @property {string} [user] default: Redis's default user
 * @property {string} [password]
 * @property {number} [db]
 */

/** Whether this build of the addon has the link. @returns {boolean} */
export function hasRedis() {
  return native.hasRedis();
}

/**
 * @throws {SluiceError} `ERR_REDIS_NOT_BUILT`: this build of the addon has no link
 */
export function requireRedis() {
  if (hasRedis()) return;
  throw new SluiceError(
    'ERR_REDIS_NOT_BUILT',
    'this build of the native addon cannot use Redis: it was built without hiredis (Debian:' +
      ' libhiredis-dev). Install that and run "npx sluice build" (in a clone "npm run build")',
  );
}

/**
 * The connections of the job log to Redis, a writer and a subscriber, on a reactor's thread: they beat and
 * reconnect while the main thread is blocked.
 *
 * Main thread. Connects at once, and again after any failure, until `close()`. Does not keep the process
 * alive.
 * @extends {EventEmitter<RedisLinkEvents>}
 */
export class RedisLink extends EventEmitter {
  #reactor;
  #machineId;
  #locate;
  /** Number of the last search for the server. */
  #searches = 0;
  #mayMove;
  /** From the clock of the reactor to `performance.now()`. */
  #offsetMs = performance.now() - Number(process.hrtime.bigint()) / 1e6;
  /** @type {RedisState} */
  #state = 'connecting';
  #detail = '';
  /** @type {NodeJS.Timeout | undefined} */
  #lookup;
  #isClosed = false;

  /**
   * @param {object} options
   * @param {import('../internal/native/reactor.js').Reactor} options.reactor with real time; the hub that
   *   uses the link has its jobs there
   * @param {LinkAddress} options.address
   * @param {() => Promise<{host: string, port: number}>} [options.locate] asked at the start, and every second
   *   while Redis does not answer; default: the host and the port of the address
   * @param {string} options.prefix prefix of all keys and channels: `{PREFIX}:`
   * @param {string} [options.process] name for the beats; default: empty, no beats
   * @param {number} options.leaseMs a beat is sent every fifth of it
   * @param {number} [options.waitReplicas] replicas that must hold the ending of a job before it is published;
   *   default 0
   * @param {Record<string, {source: string, sha: string}>} options.scripts by name; `beat` for the beat,
   *   others for the job log. `sha`: SHA-1 of the source
   * @throws {SluiceError} `ERR_REDIS_NOT_BUILT`, see `requireRedis`
   */
  constructor({ reactor, address, locate, prefix, process: name = '', leaseMs, scripts, ...rest }) {
    super();
    const { waitReplicas = 0 } = rest;
    requireRedis();
    if (reactor.manual) throw new TypeError('RedisLink takes a reactor with real time');
    const { host, port, user = '', password = '', db = 0 } = address;
    // The addresses of a name may change; IP addresses are fixed.
    const stays = locate === undefined && isIP(host) !== 0;
    this.#locate = locate ?? (async () => ({ host, port }));
    this.#mayMove = !stays;
    this.#reactor = reactor;
    this.#machineId = reactor.register((kind, a, b) => this.#onEvent(kind, a, b));
    const list = Object.entries(scripts).map(([key, { source, sha }]) => ({
      name: key,
      source,
      sha1: sha,
    }));
    const options = {
      ...{ prefix, process: name, user, password, db, leaseMs, waitReplicas, scripts: list },
    };
    /** The native object, an argument of the native hub. */
    this.native = new native.RedisLink(reactor.native, this.#machineId, options);
    void this.#resolve();
  }

  /** @returns {RedisState} */
  get state() {
    return this.#state;
  }

  /** A one-line reason; empty while Redis answers. */
  get detail() {
    return this.#detail;
  }

  /** @returns {RedisFigures} */
  figures() {
    const [connections, pipelines, commands, beats, channels, roundtripMs] = this.native.figures();
    return { state: this.#state, connections, pipelines, commands, beats, channels, roundtripMs };
  }

  /** Looks up the server again, and closes a connection to another one, even if it answers. */
  relocate() {
    void this.#resolve();
  }

  /**
   * Changes the name of the beats.
   * @param {string} name empty: no beats
   */
  rename(name) {
    this.native.rename(name);
    this.#reactor.settle();
  }

  /**
   * Subscribes to a channel, given by its whole name.
   * @param {string} channel
   */
  subscribe(channel) {
    this.native.subscribe(channel);
    this.#reactor.settle();
  }

  /** @param {string} channel an unknown one is ignored */
  unsubscribe(channel) {
    this.native.unsubscribe(channel);
    this.#reactor.settle();
  }

  /** Closes the connections. No event follows. Idempotent. */
  close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#lookup);
    this.#reactor.unregister(this.#machineId);
    this.native.close();
    this.#reactor.settle();
  }

  /** Looks up the server; repeats while Redis does not answer. */
  async #resolve() {
    clearTimeout(this.#lookup);
    const search = (this.#searches += 1);
    try {
      const { host, port } = await this.#locate();
      const found = isIP(host) === 0 ? await lookup(host, { all: true }) : [{ address: host }];
      if (this.#isClosed || search !== this.#searches) return;
      this.native.setAddresses(found.map(({ address }) => ({ host: address, port })));
      this.#reactor.settle();
    } catch (/** @type {any} */ error) {
      if (this.#isClosed || search !== this.#searches) return;
      // With the earlier addresses the native side reports the fault.
      if (this.#state === 'connecting') this.#become('unreachable', error.message);
    }
    if (this.#state !== 'ok') this.#resolveLater();
  }

  #resolveLater() {
    clearTimeout(this.#lookup);
    if (this.#isClosed || !this.#mayMove) return;
    this.#lookup = setTimeout(() => void this.#resolve(), LOOKUP_MS);
    this.#lookup.unref();
  }

  /** @param {number} kind @param {any} a @param {any} b */
  #onEvent(kind, a, b) {
    switch (kind) {
      case EventKind.REDIS_STATE:
        this.#become(a, b);
        if (a !== 'ok') this.#resolveLater();
        break;
      case EventKind.REDIS_BEAT:
        this.#onBeat(a, b);
        break;
      case EventKind.REDIS_SERVER:
        this.emit('server', JSON.parse(a));
        break;
      case EventKind.REDIS_SUBSCRIBED:
        this.emit('subscribed', a);
        break;
      case EventKind.REDIS_MESSAGE:
        this.emit('message', a, b);
        break;
      // no default
    }
  }

  /** @param {[sent: number, answered: number]} times @param {string} json */
  #onBeat([sent, answered], json) {
    const [seconds, microseconds, member, processes, dead, offered, messages] = JSON.parse(json);
    this.emit('beat', {
      seconds,
      microseconds,
      member: member === 1,
      processes,
      dead,
      offered,
      messages,
      sentMs: sent + this.#offsetMs,
      answeredMs: answered + this.#offsetMs,
    });
  }

  /** @param {RedisState} state @param {string} detail */
  #become(state, detail) {
    if (state === this.#state) return;
    this.#state = state;
    this.#detail = detail;
    this.emit('state', state, detail);
  }
}
