import { EventEmitter } from 'node:events';
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { Barrier } from './barrier.js';
import { BEATS_PER_LEASE, Members } from './members.js';
import { RedisClient } from './client/redis-client.js';
import { RedisClock } from './client/redis-clock.js';
import { ScriptCalls } from './client/script-calls.js';
import { SharedCredit } from './ledger/shared-credit.js';
import { SharedJobs } from './jobs/shared-jobs.js';
import { SharedLedger } from './ledger/shared-ledger.js';
import { SharedLeases } from './shared-leases.js';
import { fieldsOf } from './client/scripts.js';

/** The schema of the keys in Redis. */
export const SCHEMA = 1;
/** Wait before the first contact is tried again. */
const JOIN_AGAIN_MS = 250;

/** @typedef {import('../streams/redis-link.js').Beat} Beat */

/** @typedef {import('../streams/redis-link.js').RedisLink} RedisLink */
/**
 * The native link as a cluster uses it. On one line: the compiler prints the declaration with its line breaks.
 * @typedef {Pick<RedisLink, 'on' | 'subscribe' | 'unsubscribe' | 'rename' | 'relocate'>} Link
 */

/**
 * `state`: that of Redis. `joined`: this process is a member under its name; `ids` are the jobs that
 * are still its own, `isFirst` at the start, `isLost` when Redis has lost its data. `beat`: after each
 * answered beat. `message`: a message to this process. `offer`: a job, or the jobs of a dead process, want
 * an owner. `erased`: a job is no more. `keys`: keys of callers were changed. `published`: a message on a channel of
 * `listen`. `left`: this process is no member any more.
 * @typedef {{state: [state: import('./client/redis-client.js').RedisState], joined: [how: {ids: string[],
 *   isFirst: boolean, isLost: boolean}], beat: [beat: Beat], dead: [name: string, beat: string],
 *   message: [message: string], offer: [], erased: [id: string], keys: [], published: [channel: string],
 *   left: []}} ClusterEvents
 */

/** @returns {string} a name that no process had before */
const newName = () => `p${randomBytes(9).toString('base64url')}`;

/**
 * This process as a member of a deployment of several processes on one Redis. Main thread. `close()` ends
 * it.
 *
 * Joins at the first contact. Counted dead, or after a loss of Redis's data, it joins again under a new
 * name, with the jobs that no other process has taken.
 * @extends {EventEmitter<ClusterEvents>}
 */
export class Cluster extends EventEmitter {
  #options;
  #nowMs;
  #log;
  #name = newName();
  #isMember = false;
  /** When it has joined under its name. */
  #joinedMs = Infinity;
  #isJoining = false;
  /** The name under which it was counted dead, until it has joined again. */
  #was = '';
  /** @type {NodeJS.Timeout | undefined} */
  #joining;
  #hasLeft = false;
  #isClosed = false;
  /** Of the data in Redis; another one: they were lost. */
  #epoch = '';
  #secret = '';
  #clock;
  #barrier;
  #lastAnswerMs = -Infinity;
  /** @type {NodeJS.Timeout | undefined} */
  #judging;
  /** @type {Link | undefined} */
  #link;

  /**
   * @param {object} deps
   * @param {import('./options.js').CheckedRedis} deps.redis
   * @param {number} deps.keyTtlMs how long an idempotency key is kept
   * @param {import('../internal/util/logger.js').Logger} deps.log
   * @param {() => number} [deps.nowMs] monotonic milliseconds; default `performance.now`
   */
  constructor({ redis, keyTtlMs, log, nowMs = () => performance.now() }) {
    super();
    this.#options = redis;
    this.#nowMs = nowMs;
    this.#log = log;
    const { address, tls, commandTimeoutMs, waitReplicas, leaseMs } = redis;
    this.#clock = new RedisClock({ commandTimeoutMs, nowMs });
    this.redis = new RedisClient({
      ...{ address, tls, prefix: this.prefix, commandTimeoutMs, waitReplicas, nowMs },
    });
    this.members = new Members({ leaseMs });
    this.sharedJobs = new SharedJobs({
      redis: this.redis,
      process: () => this.#name,
      deadlineUs: () => this.deadlineUs(),
      keyTtlMs,
      onBuried: () => this.#joinAgain(),
      onLate: () => this.syncClock(),
      log,
    });
    /** Calls of the scripts of building blocks. */
    this.calls = new ScriptCalls({
      send: (...call) => this.redis.run(...call),
      runId: () => this.redis.runId,
      unixMs: () => this.redisNowMs(),
      deadlineUs: () => this.deadlineUs(),
      syncClock: () => this.syncClock(),
    });
    this.ledger = new SharedLedger(this.calls);
    this.sharedCredit = new SharedCredit({
      ...{ redis: this.redis, calls: this.calls, log },
      process: () => this.#name,
      onBuried: () => this.#joinAgain(),
    });
    this.sharedLeases = new SharedLeases({
      ...{ redis: this.redis, calls: this.calls, clock: this.#clock, log },
      process: () => this.#name,
      onBuried: () => this.#joinAgain(),
    });
    this.#barrier = new Barrier({
      ...{ redis: this.redis, process: () => this.#name },
      readMessages: () => this.#takeMessages(),
    });
    this.redis.on('ready', () => {
      if (!this.#isMember) void this.#join();
    });
    this.redis.once('evicts', (policy) => {
      const message = 'Redis may remove jobs to make room: set maxmemory-policy noeviction';
      log.warn({ redis: address.shown, maxmemory_policy: policy }, message);
    });
    this.redis.on('replicas', (has) => {
      const fields = { redis: address.shown, wait_replicas: waitReplicas };
      if (has) log.info(fields, 'replicas answer in time again');
      else log.warn(fields, 'too few replicas answer in time; what has to be on them gets 503');
    });
    this.redis.on('state', (state, detail) => this.#onState(state, detail));
  }

  /** Name of this process. It changes when it was counted dead. */
  get process() {
    return this.#name;
  }

  /** What all keys begin with: `{PREFIX}:`. */
  get prefix() {
    return `{${this.#options.prefix}}:`;
  }

  /** @returns {import('./client/redis-client.js').RedisState} */
  get state() {
    return this.redis.state;
  }

  /** Whether this process is a member, as far as it knows. */
  get isMember() {
    return this.#isMember;
  }

  /** The secret of stream URLs where none is configured; empty before the first contact. */
  get secret() {
    return this.#secret;
  }

  /** Name of the data in Redis; empty before the first contact. */
  get epoch() {
    return this.#epoch;
  }

  /**
   * Milliseconds since Redis has answered on the link, or on the control connection if that is longer; Infinity
   * before the first answer.
   */
  get silentMs() {
    return Math.max(this.#nowMs() - this.#lastAnswerMs, this.redis.silentMs);
  }

  /** Whether this process is a member, and Redis has answered it within a lease. */
  get isReady() {
    return this.#isMember && this.silentMs <= this.#options.leaseMs;
  }

  /** @returns {number} Redis's Unix time in milliseconds; 0 before the first contact */
  redisNowMs() {
    return this.#clock.unixMs();
  }

  /** @returns {string} until when Redis may run a script that is sent now, in its own microseconds */
  deadlineUs() {
    return this.#clock.deadlineUs();
  }

  /** Reads Redis's clock anew: it was set, if it has refused a script that was not late. */
  async syncClock() {
    this.#observeClock(await this.redis.timeUs(), this.#nowMs());
  }

  /**
   * Uses the native link for beats and messages.
   * @param {Link} link
   */
  useLink(link) {
    this.#link = link;
    link.on('beat', (beat) => this.#onBeat(beat));
    link.on('message', (channel, payload) => this.#onMessage(channel, payload));
    link.subscribe(`${this.prefix}p:${this.#name}`);
    link.subscribe(`${this.prefix}all`);
    const { locator } = this.redis.route;
    locator.on('moved', () => link.relocate());
    link.on('state', (_state, detail) => locator.follow(detail));
  }

  /**
   * Resolves once this process is a member, or after `waitMs` all the same.
   * @param {number} waitMs
   * @returns {Promise<boolean>} whether it is one
   * @throws {import('../internal/util/errors.js').SluiceError} `ERR_REDIS_...`: waiting does not help
   */
  async ready(waitMs) {
    if (!this.#isMember && this.redis.refusal === undefined) {
      await new Promise((resolve) => {
        const timer = setTimeout(done, waitMs);
        /** @type {(state: string) => void} */
        const onState = (state) => state === 'refused' && done();
        const joined = () => done();
        /** @type {Cluster} */
        const cluster = this;
        function done() {
          clearTimeout(timer);
          cluster.off('state', onState);
          cluster.off('joined', joined);
          resolve(undefined);
        }
        this.on('state', onState);
        this.on('joined', joined);
      });
    }
    if (this.redis.refusal !== undefined) throw this.redis.refusal;
    return this.#isMember;
  }

  /** Joins, and tries again until that has succeeded. */
  async #join() {
    if (this.#isJoining || this.#isMember || this.#hasLeft) return;
    this.#isJoining = true;
    clearTimeout(this.#joining);
    try {
      await this.#askJoin();
    } catch (/** @type {any} */ error) {
      if (error.status === undefined) this.#log.error({ err: error }, 'cannot join the deployment');
    } finally {
      this.#isJoining = false;
    }
    // A schema that is too new stays; rights may be granted again.
    if (this.#isMember || this.redis.refusal?.code === 'ERR_REDIS_SCHEMA') return;
    this.#joining = setTimeout(() => void this.#join(), JOIN_AGAIN_MS);
    this.#joining.unref();
  }

  async #askJoin() {
    const random = () => randomBytes(18).toString('base64url');
    const { leaseMs } = this.#options;
    const args = ['', this.#name, this.#was, SCHEMA, random(), random(), leaseMs];
    const about = ['host', hostname(), 'pid', process.pid, 'started_ms', Date.now()];
    const [answer, ...rest] = await this.redis.run('join', ['procs', 'meta'], [...args, ...about]);
    if (answer === 'NEWER') {
      this.redis.refuseSchema(rest[0]);
      return;
    }
    if (answer === 'BURIED') {
      this.#rename();
      return;
    }
    const [us, epoch, secret, lease, ids] = rest;
    this.#observeClock(Number(us), this.#nowMs());
    if (Number(lease) !== leaseMs) {
      const fields = { lease_ms: leaseMs, lease_ms_of_others: Number(lease) };
      this.#log.warn(fields, 'the other processes have another --lease-ms; it has to be the same');
    }
    const isFirst = this.#epoch === '';
    const isLost = !isFirst && this.#epoch !== epoch;
    this.#epoch = epoch;
    this.#secret = secret;
    this.#was = '';
    this.#isMember = true;
    this.#joinedMs = this.#nowMs();
    this.emit('joined', { ids, isFirst, isLost });
  }

  /** Joins under a new name, with the jobs that nobody has taken. */
  #joinAgain() {
    if (!this.#isMember) return;
    this.#was = this.#name;
    this.#isMember = false;
    this.#rename();
    const fields = { was: this.#was, process: this.#name };
    this.#log.warn(fields, 'no member any more; joining again');
    void this.#join();
  }

  #rename() {
    this.#link?.unsubscribe(`${this.prefix}p:${this.#name}`);
    this.#name = newName();
    this.#link?.rename(this.#name);
    this.#link?.subscribe(`${this.prefix}p:${this.#name}`);
  }

  /**
   * @param {number} us of Redis's clock
   * @param {number} atMs of this process's, not earlier than `us` was read: deadlines are early, not late
   */
  #observeClock(us, atMs) {
    this.#clock.observe(us, atMs);
    this.#lastAnswerMs = this.#nowMs();
  }

  /** @param {Beat} beat */
  #onBeat(beat) {
    this.#observeClock(beat.seconds * 1e6 + beat.microseconds, beat.answeredMs);
    const { sentMs, answeredMs } = beat;
    if (!beat.member) {
      // Sent before it had joined, a beat says nothing of its name.
      if (sentMs >= this.#joinedMs) this.#joinAgain();
      return;
    }
    const beats = Object.entries(fieldsOf(beat.processes));
    this.members.observe({ self: this.#name, beats, sentMs, answeredMs });
    this.#judge();
    for (const message of beat.messages) this.emit('message', message);
    if (beat.dead > 0 || beat.offered > 0) this.emit('offer');
    this.emit('beat', beat);
  }

  /** Reports dead processes now, and once more when the next lease may run out. */
  #judge() {
    clearTimeout(this.#judging);
    const nowMs = this.#nowMs();
    for (const { name, beat } of this.members.dead(nowMs)) this.emit('dead', name, beat);
    const waitMs = this.members.dueMs - nowMs;
    // The answer to the next beat judges again.
    if (waitMs <= 0 || waitMs > this.#options.leaseMs / BEATS_PER_LEASE) return;
    this.#judging = setTimeout(() => this.#isMember && this.#judge(), waitMs);
    this.#judging.unref();
  }

  /**
   * @param {string} channel
   * @param {string} payload
   */
  #onMessage(channel, payload) {
    if (channel === `${this.prefix}all`) this.#onAll(payload);
    else if (channel !== `${this.prefix}p:${this.#name}`) {
      this.emit('published', channel.slice(this.prefix.length));
    } else if (!this.#barrier.onOwn(payload)) {
      void this.#takeMessages();
    }
  }

  /** @param {string} payload of a message to all processes */
  #onAll(payload) {
    const [, erased] = /^erased (.+)$/.exec(payload) ?? [];
    if (erased !== undefined) this.emit('erased', erased);
    else if (payload === 'keys') this.emit('keys');
    else if (!this.#barrier.onAll(payload)) this.emit('offer');
  }

  /**
   * @returns {Promise<void>} resolves once the other processes have handled the messages that were sent to them, after a
   *   second at the latest
   */
  barrier() {
    return this.#barrier.pass();
  }

  /**
   * Emits `published` for each message on a channel from now on.
   * @param {string} channel without the prefix
   */
  listen(channel) {
    this.#link?.subscribe(this.prefix + channel);
  }

  /** @param {string} channel of `listen` */
  unlisten(channel) {
    this.#link?.unsubscribe(this.prefix + channel);
  }

  async #takeMessages() {
    try {
      const messages = await this.redis.run('messages', [`ctl:${this.#name}`], []);
      for (const message of messages) this.emit('message', message);
    } catch {
      // The next beat brings them.
    }
  }

  /**
   * @param {import('./client/redis-client.js').RedisState} state
   * @param {string} detail
   */
  #onState(state, detail) {
    const fields = { redis: this.#options.address.shown, state, ...(detail && { detail }) };
    if (state === 'ok') this.#log.info(fields, 'Redis answers');
    else this.#log.warn(fields, 'Redis is not usable');
    this.emit('state', state);
  }

  /** Leaves the deployment. Jobs that this process still has are left to the others. */
  async leave() {
    this.#hasLeft = true;
    if (!this.#isMember) return;
    this.#isMember = false;
    await this.redis.run('leave', ['procs'], [this.#name]).catch(() => {});
    this.emit('left');
  }

  /** Ends the connection. */
  close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#judging);
    clearTimeout(this.#joining);
    this.#hasLeft = true;
    this.sharedJobs.close();
    this.sharedLeases.close();
    this.sharedCredit.close();
    this.redis.close();
  }
}

/**
 * @param {ConstructorParameters<typeof Cluster>[0]} deps
 * @returns {Cluster} that connects from now on
 */
export function openCluster(deps) {
  return new Cluster(deps);
}
