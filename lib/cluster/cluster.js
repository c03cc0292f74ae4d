import { EventEmitter } from 'node:events';
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { Barrier } from './barrier.js';
import { BEATS_PER_LEASE, Identity, Members } from './members.js';
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
 * The part of the native link that a cluster uses. On one line: the compiler prints the declaration with its line
 * breaks.
 * @typedef {Pick<RedisLink, 'on' | 'subscribe' | 'unsubscribe' | 'rename' | 'relocate'>} Link
 */

/**
 * `state`: that of Redis. `joined`: this process is a member under its name; `ids` are the jobs that
 * are still its own, `isFirst` at the start, `isLost` when Redis has lost its data, `awayMs` since Redis had it as a
 * member. `beat`: after each answered beat. `replaced`: Redis was restarted, or is another server, and this process is
 * still a member. `message`: a message to this process. `offer`: a job, or the jobs of a dead process, can be
 * taken over. `erased`: a job was erased. `keys`: keys of callers were changed. `published`: a message on a channel
 * of `listen`. `left`: this process is no member any more.
 * @typedef {{state: [state: import('./client/redis-client.js').RedisState], joined: [membership: {ids: string[],
 *   isFirst: boolean, isLost: boolean, awayMs: number}], beat: [beat: Beat], replaced: [],
 *   dead: [name: string, beat: string], message: [message: string], offer: [], erased: [id: string], keys: [],
 *   published: [channel: string], left: []}} ClusterEvents
 */

/**
 * The membership of this process in a deployment of several processes on one Redis. Main thread. `close()` ends
 * it.
 *
 * Joins at the first contact. After it was counted dead, or Redis lost its data, it joins again under a new
 * name, with the jobs that no other process has taken.
 * @extends {EventEmitter<ClusterEvents>}
 */
export class Cluster extends EventEmitter {
  #options;
  #nowMs;
  #log;
  #identity = new Identity();
  #isMember = false;
  /** When it has joined under its name. */
  #joinedMs = Infinity;
  #isJoining = false;
  /** The name that was counted dead; set until this process has joined again. */
  #was = '';
  /** @type {NodeJS.Timeout | undefined} */
  #joining;
  #hasLeft = false;
  #isClosed = false;
  /** Name of the data in Redis; it changes when Redis loses its data. */
  #epoch = '';
  #secret = '';
  #barrier;
  #lastAnswerMs = -Infinity;
  /** When Redis last had this process as a member. */
  #memberMs = -Infinity;
  #runId = '';
  #isReplaced = false;
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
    this.redis = new RedisClient({
      ...{ address, tls, prefix: this.prefix, commandTimeoutMs, waitReplicas, nowMs },
    });
    const client = this.redis;
    /** The clock of Redis. */
    this.clock = new RedisClock({ redis: client, commandTimeoutMs, nowMs });
    this.members = new Members({ leaseMs });
    this.#identity.on('buried', () => this.#joinAgain());
    const own = { redis: client, clock: this.clock, identity: this.#identity, log };
    const epoch = () => this.#epoch;
    const join = () => this.ready(commandTimeoutMs).catch(() => false);
    this.sharedJobs = new SharedJobs({ ...own, keyTtlMs, epoch, join });
    /** Calls of the scripts of building blocks. */
    this.calls = new ScriptCalls({
      send: (...call) => client.run(...call),
      runId: () => client.runId,
      redisClock: this.clock,
    });
    this.ledger = new SharedLedger(this.calls);
    this.sharedCredit = new SharedCredit({ ...own, calls: this.calls });
    this.sharedLeases = new SharedLeases({ ...own, calls: this.calls });
    this.#barrier = new Barrier({
      ...{ redis: client, identity: this.#identity },
      readMessages: () => this.#takeMessages(),
    });
    this.redis.on('ready', () => {
      if (this.#runId !== '' && client.runId !== this.#runId) this.#isReplaced = true;
      this.#runId = client.runId;
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
    return this.#identity.name;
  }

  /** The prefix of all keys: `{PREFIX}:`. */
  get prefix() {
    return `{${this.#options.prefix}}:`;
  }

  /** @returns {import('./client/redis-client.js').RedisState} */
  get state() {
    return this.redis.state;
  }

  /** Whether this process is a member, by the last answer of Redis. */
  get isMember() {
    return this.#isMember;
  }

  /** The secret of stream URLs if none is configured; empty before the first contact. */
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
    return this.clock.unixMs();
  }

  /** @returns {string} deadline for a script that is sent now, in Redis's microseconds */
  deadlineUs() {
    return this.clock.deadlineUs();
  }

  /**
   * Uses the native link for beats and messages.
   * @param {Link} link
   */
  useLink(link) {
    this.#link = link;
    link.on('beat', (beat) => this.#onBeat(beat));
    link.on('message', (channel, payload) => this.#onMessage(channel, payload));
    link.subscribe(`${this.prefix}p:${this.#identity.name}`);
    link.subscribe(`${this.prefix}all`);
    const { locator } = this.redis.route;
    locator.on('moved', () => link.relocate());
    link.on('state', (_state, detail) => locator.follow(detail));
  }

  /**
   * Resolves once this process is a member, at the latest after `waitMs`.
   * @param {number} waitMs
   * @returns {Promise<boolean>} whether it is one
   * @throws {import('../internal/util/errors.js').SluiceError} `ERR_REDIS_...`: a lasting fault
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

  /** Joins, with retries until it succeeds. */
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
    // Waiting does not change a schema that is too new; rights may be granted again.
    if (this.#isMember || this.redis.refusal?.code === 'ERR_REDIS_SCHEMA') return;
    this.#joining = setTimeout(() => void this.#join(), JOIN_AGAIN_MS);
    this.#joining.unref();
  }

  async #askJoin() {
    const random = () => randomBytes(18).toString('base64url');
    const { leaseMs } = this.#options;
    // The URLs of running jobs stay valid when Redis has lost the secret.
    const secret = this.#secret || random();
    const args = ['', this.#identity.name, this.#was, SCHEMA, random(), secret, leaseMs];
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
    const [us, epoch, commonSecret, lease, ids] = rest;
    this.#observeClock(Number(us), this.#nowMs());
    if (Number(lease) !== leaseMs) {
      const fields = { lease_ms: leaseMs, lease_ms_of_others: Number(lease) };
      this.#log.warn(fields, 'the other processes have another --lease-ms; it has to be the same');
    }
    const isFirst = this.#epoch === '';
    const isLost = !isFirst && this.#epoch !== epoch;
    if (isLost) this.#isReplaced = false;
    this.#epoch = epoch;
    this.#secret = commonSecret;
    this.#was = '';
    this.#isMember = true;
    this.#joinedMs = this.#nowMs();
    const awayMs = this.#joinedMs - this.#memberMs;
    this.#memberMs = this.#joinedMs;
    this.emit('joined', { ids, isFirst, isLost, awayMs });
  }

  /** Joins under a new name, with the jobs that nobody has taken. */
  #joinAgain() {
    if (!this.#isMember) return;
    this.#was = this.#identity.name;
    this.#isMember = false;
    this.#rename();
    const fields = { was: this.#was, process: this.#identity.name };
    this.#log.warn(fields, 'no member any more; joining again');
    void this.#join();
  }

  #rename() {
    this.#link?.unsubscribe(`${this.prefix}p:${this.#identity.name}`);
    this.#identity.renew();
    this.#link?.rename(this.#identity.name);
    this.#link?.subscribe(`${this.prefix}p:${this.#identity.name}`);
  }

  /**
   * @param {number} us of Redis's clock
   * @param {number} atMs of this process's, not before `us` was read, so that deadlines are early rather than late
   */
  #observeClock(us, atMs) {
    this.clock.observe(us, atMs);
    this.#lastAnswerMs = this.#nowMs();
  }

  /** @param {Beat} beat */
  #onBeat(beat) {
    this.#observeClock(beat.seconds * 1e6 + beat.microseconds, beat.answeredMs);
    const { sentMs, answeredMs } = beat;
    if (!beat.member) {
      // A beat sent before the join says nothing about the current name.
      if (sentMs >= this.#joinedMs) this.#joinAgain();
      return;
    }
    this.#memberMs = sentMs;
    const beats = Object.entries(fieldsOf(beat.processes));
    this.members.observe({ self: this.#identity.name, beats, sentMs, answeredMs });
    this.#judge();
    for (const message of beat.messages) this.emit('message', message);
    if (beat.dead > 0 || beat.offered > 0) this.emit('offer');
    if (this.#isReplaced) {
      this.#isReplaced = false;
      this.emit('replaced');
    }
    this.emit('beat', beat);
  }

  /** Reports dead processes now, and again when the next lease may expire. */
  #judge() {
    clearTimeout(this.#judging);
    const nowMs = this.#nowMs();
    for (const { name, beat } of this.members.dead(nowMs)) this.emit('dead', name, beat);
    const waitMs = this.members.dueMs - nowMs;
    // The answer to the next beat repeats the check.
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
    else if (channel !== `${this.prefix}p:${this.#identity.name}`) {
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
   * @returns {Promise<void>} resolves once the other processes have handled the messages sent to them, after a second at
   *   the latest
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
      const messages = await this.redis.run('messages', [`ctl:${this.#identity.name}`], []);
      for (const message of messages) this.emit('message', message);
    } catch {
      // The next beat delivers the messages.
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

  /** Leaves the deployment. Other processes take over its remaining jobs. */
  async leave() {
    this.#hasLeft = true;
    if (!this.#isMember) return;
    this.#isMember = false;
    await this.redis.run('leave', ['procs'], [this.#identity.name]).catch(() => {});
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
 * @returns {Cluster} a client that is connecting
 */
export function openCluster(deps) {
  return new Cluster(deps);
}
