/**
 * Random jobs with random endings: in any order of events no reservation is
 * held forever, and the charges equal the usage of the jobs and the shared answers.
 *
 * The usage is read from the hub's last states, of which the limits know only the
 * reports at the endings. The clock is moved by hand, so that the refill since then is known
 * to the token.
 */
import fc from 'fast-check';
import { Trial, plan } from '../support/gateway/random-jobs.js';
import { endpoints } from '../../lib/jobs/policy/config.js';
import { partsOf } from '../support/gateway/parts.js';

const TOKENS_PER_MS = 1000;
const TOKENS_PER_MINUTE = 60_000 * TOKENS_PER_MS;
const JOBS_AT_A_TIME = 12;

/** A gateway with limits. */
class LimitedTrial extends Trial {
  #charged = 0;

  constructor(settings) {
    super(settings, {
      access: {
        limits: {
          requests_per_minute: 1_000_000,
          tokens_per_minute: TOKENS_PER_MINUTE,
          concurrent_jobs: JOBS_AT_A_TIME,
        },
      },
    });
    const { access, reservations } = partsOf(this.gateway);
    this.reservations = reservations;
    this.whose = { access: access.of('anonymous'), model: 'provider', endpoint: endpoints.jobs };
    // Half of the tokens are gone, so returned ones have an effect.
    this.charge(TOKENS_PER_MINUTE / 2);
  }

  charge(tokens) {
    this.reservations.forJob({ prompt: '' }, this.whose, { shared: false }).settle(tokens);
    this.#charged += tokens;
  }

  left() {
    const entries = this.reservations.peek(this.whose);
    return Object.fromEntries(entries.map(({ dimension, remaining }) => [dimension, remaining]));
  }

  /** The usage of the jobs and answers that the provider was called for. */
  async used() {
    let sum = 0;
    for (const { id, leader, state } of await this.ended()) {
      if (leader !== undefined || !this.calledIds.has(id)) continue;
      sum += state.usage.prompt_tokens + state.usage.completion_tokens;
    }
    return sum;
  }

  /** The expected remainder of the tokens after `used` were used. */
  expected(used) {
    return TOKENS_PER_MINUTE - this.#charged - used + TOKENS_PER_MS * this.elapsedMs;
  }
}

test('no reservation leaks, no job is charged twice or not at all', async () => {
  let admitted = 0;
  const check = fc.asyncProperty(plan, async ({ actions, ...settings }) => {
    const trial = new LimitedTrial(settings);
    for (const each of actions) await trial.perform(each);
    await trial.end(settings, { settled: () => trial.reservations.open === 0 });
    const used = await trial.used();
    admitted += used > 0 ? 1 : 0;
    expect(trial.unexpected).toEqual([]);
    expect(trial.reservations.open).toBe(0);
    expect(trial.left()).toMatchObject({
      concurrent_jobs: JOBS_AT_A_TIME,
      tokens: trial.expected(used),
    });
    trial.advance(2 * 60_000);
    expect(trial.left()).toEqual({
      requests: 1_000_000,
      tokens: TOKENS_PER_MINUTE,
      concurrent_jobs: JOBS_AT_A_TIME,
    });
  });
  await fc.assert(check, { numRuns: 300, interruptAfterTimeLimit: 40_000 });
  expect(admitted).toBeGreaterThan(10);
});
