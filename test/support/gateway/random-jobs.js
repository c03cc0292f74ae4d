/**
 * Random jobs with random endings, for property tests: submissions of every kind,
 * readers that leave, cancellations, deadlines, shutdown, over a provider that follows scripts. The
 * clock is moved by hand.
 */
import fc from 'fast-check';
import { ManualClock, SluiceError } from '../../../lib/index.js';
import { passing } from './workflows.js';
import { until } from '../until.js';
import { createGateway, partsOf } from './parts.js';

/** Lets other tasks and the reactor run. */
async function turns(count) {
  for (let i = 0; i < count; i += 1) await new Promise(setImmediate);
}

/** The course of a call of the provider. */
const script = fc.record({
  tokens: fc.nat(6),
  pauses: fc.nat(3),
  ending: fc.constantFrom('return', 'usage', 'throw', 'passing', 'hang'),
  usage: fc.record({ prompt_tokens: fc.nat(500), completion_tokens: fc.nat(5000) }),
});

const submission = fc.record({
  kind: fc.constant('submit'),
  prompt: fc.constantFrom('a', 'bc', 'some words', 'the question'),
  max_tokens: fc.option(fc.integer({ min: 1, max: 3000 }), { nil: undefined }),
  temperature: fc.constantFrom(undefined, 0, 0, 1),
  max_wall_ms: fc.option(fc.integer({ min: 1, max: 200 }), { nil: undefined }),
  disconnect_grace_ms: fc.constantFrom(0, 20),
  cache: fc.constantFrom(undefined, undefined, { mode: 'refresh' }, { mode: 'on', ttl_s: 0 }),
  idempotencyKey: fc.constantFrom(undefined, undefined, undefined, 'k', 'l'),
  leaves: fc.boolean(),
});

const action = fc.oneof(
  { weight: 8, arbitrary: submission },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('cancel'), which: fc.nat(100) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('read'), which: fc.nat(100) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave'), which: fc.nat(100) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('abort'), which: fc.nat(100) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('advance'), ms: fc.nat(60) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('turns'), count: fc.nat(8) }) },
);

/** The plan of one gateway: the behaviour of its provider, the calls to it, and its end. */
export const plan = fc.record({
  scripts: fc.array(script, { minLength: 1, maxLength: 8 }),
  actions: fc.array(action, { minLength: 5, maxLength: 40 }),
  maxRetainedJobs: fc.constantFrom(2, 1000),
  room: fc.constantFrom(1, 100),
  drainMs: fc.constantFrom(0, 5),
  settles: fc.boolean(),
});

/** The provider of a plan, whose calls follow the scripts in turn, and the ids of its calls. */
function scripted(scripts) {
  const calledIds = new Set();
  let calls = 0;
  async function* run({ tokens, pauses, ending, usage }, { signal }) {
    if (ending === 'passing' && calls % 3 > 0) throw passing();
    for (let i = 0; i < tokens; i += 1) {
      await turns(pauses);
      yield `t${i} `;
    }
    if (ending === 'throw') {
      throw new SluiceError('ERR_CUT', 'Cut.', { wireCode: 'upstream_disconnected' });
    }
    if (ending === 'hang') {
      await new Promise((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener('abort', resolve);
      });
    }
    return ending === 'usage' ? { reason: 'stop', usage } : undefined;
  }
  function provider({ id }, options) {
    calledIds.add(id);
    calls += 1;
    return run(scripts[calls % scripts.length], options);
  }
  return { provider, calledIds };
}

/**
 * Records the final state of every job and every shared answer of a hub.
 * @returns {() => Promise<{handle: number, id: string, leader?: number, state: object}[]>} to be called
 *   once the hub is closed: the ended jobs, each with the handle of the answer it followed
 */
function auditOf(hub) {
  const leaders = new Map();
  const states = new Map();
  const { create, follow, purge, close } = hub;
  const note = (handle) => {
    if (!states.has(handle)) states.set(handle, hub.snapshot(handle, { text: false }));
  };
  const ids = new Map();
  hub.create = function created(options) {
    // Jobs are not purged by time; explicit purges record the state first.
    const handle = create.call(hub, { ...options, retentionMs: 1e9 });
    ids.set(handle, options.jobId);
    return handle;
  };
  hub.follow = function followed(handle, leader) {
    leaders.set(handle, leader);
    return follow.call(hub, handle, leader);
  };
  hub.purge = function purged(handle) {
    note(handle);
    purge.call(hub, handle);
  };
  let closed;
  hub.close = function ends() {
    for (const handle of ids.keys()) note(handle);
    closed ??= Promise.all(states.values()).then(() => close.call(hub));
  };
  return async () => {
    await closed;
    const ended = [];
    for (const [handle, promise] of states) {
      const state = await promise;
      // The submission was withdrawn before it became a job.
      if (state === null || !/completed|failed|cancelled/.test(state.status)) continue;
      ended.push({ handle, id: ids.get(handle), leader: leaders.get(handle), state });
    }
    return ended;
  };
}

/** Permitted codes of refused submissions. */
const refusals = /^ERR_(OVERLOADED|RATE_LIMIT_EXCEEDED|IDEMPOTENCY_KEY_REUSED|DRAINING)$/;

/** A gateway, and the calls to it. */
export class Trial {
  #clock = new ManualClock();
  #jobs = [];
  #readers = [];
  #submitting = new Set();
  #controllers = [];
  #refusals;
  elapsedMs = 0;
  /** Errors of submissions with other codes. */
  unexpected = [];

  /**
   * @param {object} plan one that `plan` generated
   * @param {object} options of the gateway
   * @param {RegExp} [also] further permitted codes of refused submissions
   */
  constructor({ scripts, maxRetainedJobs, room }, options, also = /^$/) {
    const { provider, calledIds } = scripted(scripts);
    this.#refusals = [refusals, also];
    this.gateway = createGateway({
      provider,
      clock: this.#clock,
      logger: false,
      maxConcurrency: 3,
      incomingCapacity: room,
      processingCapacity: room,
      admissionWaitMs: 20,
      maxRetainedJobs,
      retry: { attempts: 2, baseMs: 1, capMs: 5 },
      ...options,
    });
    /** Ids of the provider's calls. */
    this.calledIds = calledIds;
    /** See `auditOf`. */
    this.ended = auditOf(partsOf(this.gateway).hub);
  }

  /** The principal of the next job. */
  principal() {
    return 'anonymous';
  }

  advance(ms) {
    this.#clock.advanceMs(ms);
    this.elapsedMs += ms;
  }

  submit({ idempotencyKey, leaves, ...request }) {
    delete request.kind;
    const principal = this.principal();
    const controller = new AbortController();
    if (leaves) this.#controllers.push(controller);
    const done = this.gateway
      .submit(JSON.parse(JSON.stringify(request)), {
        idempotencyKey,
        principal,
        signal: controller.signal,
      })
      .then(
        ({ id }) => this.#jobs.push([id, principal]),
        (error) => {
          if (error === controller.signal.reason) return;
          const known = this.#refusals.some((codes) => codes.test(error.code));
          if (!known) this.unexpected.push(error);
        },
      )
      .finally(() => this.#submitting.delete(done));
    this.#submitting.add(done);
  }

  async perform({ kind, which, count, ms, ...rest }) {
    const [id, principal] = this.#jobs[which % this.#jobs.length] ?? [];
    if (kind === 'submit') this.submit({ ...rest });
    else if (kind === 'advance') this.advance(ms);
    else if (kind === 'turns') await turns(count);
    else if (kind === 'abort') this.#controllers.at(which % this.#controllers.length)?.abort();
    else if (kind === 'leave') await this.#readers[which % this.#readers.length]?.return();
    else if (id === undefined) return;
    else if (kind === 'cancel') await this.gateway.cancel(id, { principal }).catch(() => {});
    else this.#read(id, principal);
  }

  /** A reader, whose departure may end its job. */
  #read(id, principal) {
    let events;
    try {
      events = this.gateway.stream(id, { principal })[Symbol.asyncIterator]();
    } catch {
      return; // It has already been purged.
    }
    this.#readers.push(events);
    const pull = () =>
      events.next().then(
        ({ done }) => !done && pull(),
        () => {},
      );
    void pull();
  }

  /**
   * Some jobs hang: they are cancelled, or closing ends them.
   * @param {object} plan
   * @param {{principals?: string[], settled: () => boolean}} settings `settled`: whether no reservation is open
   */
  async end({ settles, drainMs }, { principals = ['anonymous'], settled }) {
    if (settles) {
      await Promise.all(this.#submitting);
      // All jobs of the gateway, including those whose callers left before they received the id.
      for (const principal of principals) {
        const { data } = await this.gateway.list({ limit: 100, principal });
        for (const { id } of data) await this.gateway.cancel(id, { principal }).catch(() => {});
      }
      await until(() => {
        this.advance(1);
        return settled();
      }, 'all to be settled');
    }
    await this.gateway.close({ drainMs });
    await Promise.all(this.#submitting);
  }
}
