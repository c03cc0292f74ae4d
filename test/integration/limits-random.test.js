/**
 * Random jobs with random endings: whatever happens in whatever order, nothing that was reserved is
 * held for ever, and what was charged is what the jobs and the shared answers have used, exactly.
 *
 * What they have used is read from the hub's last states, of which the limits know nothing but what
 * they were told at the endings. The clock is moved by hand, so that what has come back since is known
 * to the token.
 */
import fc from 'fast-check';
import { ManualClock, SluiceError, createGateway } from '../../lib/index.js';
import { endpoints } from '../../lib/access-config.js';
import { kInternals } from '../../lib/symbols.js';
import { passing } from '../fixtures/workflows.js';
import { until } from '../fixtures/until.js';

const kTokensPerMs = 1000;
const kTokensPerMinute = 60_000 * kTokensPerMs;
const kJobsAtATime = 12;

/** Gives other tasks, and the reactor, a chance. */
async function turns(count) {
  for (let i = 0; i < count; i += 1) await new Promise(setImmediate);
}

/** How a call of the provider goes. */
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

const plan = fc.record({
  scripts: fc.array(script, { minLength: 1, maxLength: 8 }),
  actions: fc.array(action, { minLength: 5, maxLength: 40 }),
  maxRetainedJobs: fc.constantFrom(2, 1000),
  room: fc.constantFrom(1, 100),
  drainMs: fc.constantFrom(0, 5),
  settles: fc.boolean(),
});

/** The provider of a plan, whose calls follow the scripts in turn, and the ids it was called for. */
function scripted(scripts) {
  const asked = new Set();
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
    asked.add(id);
    calls += 1;
    return run(scripts[calls % scripts.length], options);
  }
  return { provider, asked };
}

/** What all jobs and shared answers of a hub have used that the provider was asked for. */
function auditOf(hub, asked) {
  const followers = new Set();
  const states = new Map();
  const { create, follow, purge, close } = hub;
  const note = (handle) => {
    if (!states.has(handle)) states.set(handle, hub.snapshot(handle, { text: false }));
  };
  const ids = new Map();
  hub.create = function created(options) {
    // None leaves unseen: those that are told to go are noted before.
    const handle = create.call(hub, { ...options, retentionMs: 1e9 });
    ids.set(handle, options.jobId);
    return handle;
  };
  hub.follow = function followed(handle, leader) {
    followers.add(handle);
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
    let sum = 0;
    for (const [handle, promise] of states) {
      const state = await promise;
      if (state === null || followers.has(handle)) continue;
      // It was undone before it was anybody's job.
      if (!/completed|failed|cancelled/.test(state.status)) continue;
      if (!asked.has(ids.get(handle))) continue;
      sum += state.usage.prompt_tokens + state.usage.completion_tokens;
    }
    return sum;
  };
}

/** A gateway with limits, and what is done to it. */
class Trial {
  #clock = new ManualClock();
  #jobs = [];
  #readers = [];
  #submitting = new Set();
  #controllers = [];
  #elapsedMs = 0;
  #charged = 0;
  /** What submissions must not be rejected with. */
  unexpected = [];

  constructor({ scripts, maxRetainedJobs, room }) {
    const { provider, asked } = scripted(scripts);
    this.gateway = createGateway({
      provider,
      clock: this.#clock,
      logger: false,
      maxInFlightBatches: 3,
      incomingCapacity: room,
      processingCapacity: room,
      admissionWaitMs: 20,
      maxRetainedJobs,
      retry: { attempts: 2, baseMs: 1, capMs: 5 },
      access: {
        limits: {
          requests_per_minute: 1_000_000,
          tokens_per_minute: kTokensPerMinute,
          concurrent_jobs: kJobsAtATime,
        },
      },
    });
    const { access, hub, reservations } = this.gateway[kInternals];
    this.used = auditOf(hub, asked);
    this.reservations = reservations;
    this.whose = { access: access.of('anonymous'), model: 'provider', endpoint: endpoints.jobs };
    // Half of the tokens are gone: nothing comes back in vain.
    this.charge(kTokensPerMinute / 2);
  }

  charge(tokens) {
    this.reservations.forJob({ prompt: '' }, this.whose, { shared: false }).settle(tokens);
    this.#charged += tokens;
  }

  left() {
    const entries = this.reservations.peek(this.whose);
    return Object.fromEntries(entries.map(({ dimension, remaining }) => [dimension, remaining]));
  }

  advance(ms) {
    this.#clock.advanceMs(ms);
    this.#elapsedMs += ms;
  }

  submit({ idempotencyKey, leaves, ...request }) {
    delete request.kind;
    const controller = new AbortController();
    if (leaves) this.#controllers.push(controller);
    const done = this.gateway
      .submit(JSON.parse(JSON.stringify(request)), { idempotencyKey, signal: controller.signal })
      .then(
        ({ id }) => this.#jobs.push(id),
        (error) => {
          if (error === controller.signal.reason) return;
          if (
            !/^ERR_(OVERLOADED|RATE_LIMIT_EXCEEDED|IDEMPOTENCY_KEY_REUSED|DRAINING)$/.test(
              error.code,
            )
          ) {
            this.unexpected.push(error);
          }
        },
      )
      .finally(() => this.#submitting.delete(done));
    this.#submitting.add(done);
  }

  async perform({ kind, which, count, ms, ...rest }) {
    const id = this.#jobs[which % this.#jobs.length];
    if (kind === 'submit') this.submit({ ...rest });
    else if (kind === 'advance') this.advance(ms);
    else if (kind === 'turns') await turns(count);
    else if (kind === 'abort') this.#controllers.at(which % this.#controllers.length)?.abort();
    else if (kind === 'leave') await this.#readers[which % this.#readers.length]?.return();
    else if (id === undefined) return;
    else if (kind === 'cancel') await this.gateway.cancel(id).catch(() => {});
    else this.read(id);
  }

  /** A reader, whose leaving may be the end of a job. */
  read(id) {
    let events;
    try {
      events = this.gateway.stream(id)[Symbol.asyncIterator]();
    } catch {
      return; // It is gone already.
    }
    this.#readers.push(events);
    const pull = () =>
      events.next().then(
        ({ done }) => !done && pull(),
        () => {},
      );
    void pull();
  }

  /** Some jobs hang: they are cancelled, or closing ends them. */
  async end({ settles, drainMs }) {
    if (settles) {
      await Promise.all(this.#submitting);
      // All that there are: of some whoever left was never told.
      const { data } = await this.gateway.list({ limit: 100 });
      for (const { id } of data) await this.gateway.cancel(id).catch(() => {});
      await until(() => {
        this.advance(1);
        return this.reservations.open === 0;
      }, 'all to be settled');
    }
    await this.gateway.close({ drainMs });
    await Promise.all(this.#submitting);
  }

  /** Of the tokens, what has to be left after so many were used. */
  expected(used) {
    return kTokensPerMinute - this.#charged - used + kTokensPerMs * this.#elapsedMs;
  }
}

test('nothing leaks, nothing is charged twice, nothing comes for free', async () => {
  let admitted = 0;
  const check = fc.asyncProperty(plan, async ({ actions, ...how }) => {
    const trial = new Trial(how);
    for (const each of actions) await trial.perform(each);
    await trial.end(how);
    const used = await trial.used();
    admitted += used > 0 ? 1 : 0;
    expect(trial.unexpected).toEqual([]);
    expect(trial.reservations.open).toBe(0);
    expect(trial.left()).toMatchObject({
      concurrent_jobs: kJobsAtATime,
      tokens: trial.expected(used),
    });
    trial.advance(2 * 60_000);
    expect(trial.left()).toEqual({
      requests: 1_000_000,
      tokens: kTokensPerMinute,
      concurrent_jobs: kJobsAtATime,
    });
  });
  await fc.assert(check, { numRuns: 300, interruptAfterTimeLimit: 40_000 });
  expect(admitted).toBeGreaterThan(10);
});
