/** Invariants of shared answers under random actions in random order. */
import fc from 'fast-check';
import { ManualClock } from '../../../../lib/internal/time/clock.js';
import { handProvider } from '../../../support/providers/providers.js';
import { until } from '../../../support/until.js';
import { createGateway, partsOf } from '../../../support/gateway/parts.js';

const TTL_MS = 1000;

const step = fc.oneof(
  fc.record({
    op: fc.constant('submit'),
    prompt: fc.constantFrom('a', 'b'),
    mode: fc.constantFrom('on', 'on', 'on', 'refresh', 'off'),
    gone: fc.boolean(),
    wallMs: fc.constantFrom(50, 60_000),
  }),
  fc.record({ op: fc.constantFrom('cancel', 'push', 'end', 'cut', 'fail'), at: fc.nat(20) }),
  fc.record({ op: fc.constant('pass'), ms: fc.constantFrom(0, 10, 2 * TTL_MS) }),
);

/** One gateway, and the operations on it. */
class Story {
  jobs = [];
  texts = new Map();
  endings = new Map();
  submissions = [];

  constructor(options) {
    this.clock = options.clock;
    this.hand = handProvider();
    const ended = ({ job_id: id }) => this.endings.set(id, (this.endings.get(id) ?? 0) + 1);
    // A job that failed is logged as an error.
    const logger = { info: ended, warn() {}, error: ended };
    this.gateway = createGateway({
      provider: this.hand.provider,
      logger,
      maxConcurrency: 3,
      incomingCapacity: 100,
      cache: { maxEntries: 1, ttlMs: TTL_MS },
      ...options,
    });
  }

  get cache() {
    return partsOf(this.gateway).cache.stats;
  }

  async act({ op, at, prompt, mode, gone, wallMs, ms }) {
    const { calls } = this.hand;
    const call = calls.length === 0 ? undefined : calls[at % calls.length];
    if (op === 'submit') this.submit({ prompt, cache: { mode }, max_wall_ms: wallMs }, gone);
    if (op === 'cancel' && this.jobs.length > 0) {
      await this.gateway.cancel(this.jobs[at % this.jobs.length].id);
    }
    if (op === 'push' && call) this.push(call, `${calls.indexOf(call)} `);
    if (op === 'end') call?.end();
    if (op === 'cut') call?.end({ reason: 'length' });
    if (op === 'fail') call?.fail(new Error('broken'));
    if (op === 'pass') this.clock?.advanceMs(ms);
    await new Promise(setImmediate);
  }

  push(call, text) {
    call.push(text);
    this.texts.set(call.request.id, (this.texts.get(call.request.id) ?? '') + text);
  }

  submit(request, gone) {
    const controller = new AbortController();
    const submission = this.gateway.submit(request, { signal: controller.signal }).then(
      (job) => this.jobs.push(job),
      () => {},
    );
    this.submissions.push(submission);
    if (gone) controller.abort();
  }

  async settle() {
    let answered = false;
    void Promise.all(this.submissions).then(() => (answered = true));
    await until(async () => {
      for (const call of this.hand.calls) call.end();
      const jobs = await Promise.all(this.jobs.map(({ id }) => this.gateway.get(id)));
      const open = jobs.filter(({ status }) => /queued|running/.test(status));
      return answered && open.length === 0;
    }, 'the end of every job');
    await until(() => this.cache.running === 0, 'the end of every answer');
  }

  async check() {
    for (const { id } of this.jobs) {
      expect(this.endings.get(id)).toBe(1);
      const job = await this.gateway.get(id);
      const { answer } = partsOf(this.gateway).lifecycle.jobs.get(id, 'anonymous');
      const whole = this.texts.get(answer?.id ?? id) ?? '';
      if (job.status === 'completed' && job.reason === 'stop') {
        // Text pushed after the end is not in the answer.
        expect(whole.startsWith(job.text)).toBe(true);
        if (answer) expect(answer.final).toMatchObject({ status: 'completed', reason: 'stop' });
      }
    }
    expect(this.endings.size).toBe(this.jobs.length);
    const { entries, answers, joined } = this.cache;
    expect(joined).toBe(0);
    expect(answers).toBe(entries);
    expect(entries).toBeLessThanOrEqual(1);
  }
}

test('in any order of events every job ends once, and no state remains', async () => {
  const property = fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
    const clock = new ManualClock();
    const story = new Story({ clock });
    try {
      for (const each of steps) await story.act(each);
      await story.settle();
      await story.check();
      clock.advanceMs(TTL_MS + 2);
      expect(story.cache).toMatchObject({ entries: 0, bytes: 0, answers: 0 });
    } finally {
      await story.gateway.close({ drainMs: 0 });
    }
  });
  await fc.assert(property, { numRuns: 60 });
});

test('in real time too, on several threads', async () => {
  const property = fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
    const story = new Story({ reactors: 3, cache: { maxEntries: 1 } });
    try {
      for (const each of steps) await story.act(each);
      await story.settle();
      await until(() => story.cache.answers === story.cache.entries, 'the answers to go');
      await until(() => story.endings.size === story.jobs.length, 'the last ending');
      await story.check();
    } finally {
      await story.gateway.close({ drainMs: 0 });
    }
    expect(story.cache).toMatchObject({ entries: 0, answers: 0, running: 0, joined: 0 });
  });
  await fc.assert(property, { numRuns: 40 });
});
