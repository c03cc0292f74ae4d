/**
 * Random jobs with random endings, and their payments: when all have ended nothing is held, nothing is
 * lost between the accounts, and each account has paid the price of its jobs and of the answers that they
 * began have used, to the micro-credit.
 *
 * That is computed from the hub's last states and from who the provider was called for; of the accounts it
 * uses nothing but their balances.
 */
import fc from 'fast-check';
import { Ledger } from '../../../lib/index.js';
import { Trial, plan } from '../../support/gateway/random-jobs.js';
import { partsOf } from '../../support/gateway/parts.js';

const full = { prompt: 7n, completion: 31n };
const cached = { prompt: 2n, completion: 3n };
const accounts = ['ann', 'bob'];

/** A gateway with prices, and two callers with credit who share their answers. */
class PricedTrial extends Trial {
  #next = 0;
  #given;
  /** The owner of each job, by its id, jobs without an answered submission included. */
  #owners = new Map();

  constructor(settings, given) {
    const price = {
      prompt: Number(full.prompt),
      completion: Number(full.completion),
      cached_prompt: Number(cached.prompt),
      cached_completion: Number(cached.completion),
    };
    super(
      settings,
      { access: { prices: { '*': price }, default_max_tokens: 4 }, cache: { scope: 'global' } },
      /^ERR_INSUFFICIENT_CREDIT$/,
    );
    this.#given = given;
    const { jobs } = partsOf(this.gateway).billing;
    const { hold } = jobs;
    jobs.hold = (record, request, access, more) => {
      this.#owners.set(record.id, access.principal);
      return hold.call(jobs, record, request, access, more);
    };
  }

  principal() {
    this.#next += 1;
    return accounts[this.#next % accounts.length];
  }

  async fund() {
    for (const to of accounts) {
      await this.gateway.credits.transfer({ key: to, to, amount: this.#given });
    }
  }

  settled() {
    return partsOf(this.gateway).billing.jobs.open === 0;
  }

  /** The expected payments of each account. */
  async due() {
    const ended = await this.ended();
    const ids = new Map(ended.map(({ handle, id }) => [handle, id]));
    const due = Object.fromEntries(accounts.map((account) => [account, 0n]));
    for (const { id, leader, state } of ended) {
      // Who began an answer pays for the answer.
      if (leader !== undefined && ids.get(leader) === id) continue;
      const { usage, status } = state;
      const came = usage.completion_tokens > 0 || status === 'completed';
      const wasCalled = leader === undefined && this.calledIds.has(id) && status !== 'failed';
      if (!came && !wasCalled) continue;
      const { prompt, completion } = leader === undefined ? full : cached;
      due[this.#owners.get(id)] +=
        prompt * BigInt(usage.prompt_tokens) + completion * BigInt(usage.completion_tokens);
    }
    return due;
  }

  async paid() {
    const paid = {};
    for (const account of accounts) {
      const { posted } = await this.balance(account);
      paid[account] = this.#given - posted;
    }
    return paid;
  }

  async balance(account) {
    return this.gateway.credits.account(account);
  }
}

const rich = 10n ** 12n;
const poor = 600n;

test('no hold leaks, no job is charged twice or not at all', async () => {
  let charged = 0;
  const amount = fc.constantFrom(rich, rich, poor);
  const check = fc.asyncProperty(plan, amount, async ({ actions, ...settings }, given) => {
    const trial = new PricedTrial(settings, given);
    await trial.fund();
    for (const each of actions) await trial.perform(each);
    await trial.end(settings, { principals: accounts, settled: () => trial.settled() });
    expect(trial.unexpected).toEqual([]);
    expect(trial.settled()).toBe(true);
    const [due, paid] = [await trial.due(), await trial.paid()];
    for (const account of accounts) {
      const { held, available } = await trial.balance(account);
      expect(held).toBe(0n);
      expect(available).toBeGreaterThanOrEqual(0n);
      if (given === rich) expect(paid[account]).toBe(due[account]);
      else expect(paid[account]).toBeLessThanOrEqual(due[account]);
    }
    const { total } = await trial.gateway.credits.usage();
    expect(total.cost).toBe(due.ann + due.bob);
    const { ledger } = partsOf(trial.gateway);
    const names = ledger.accounts();
    expect(names.reduce((sum, name) => sum + ledger.balance(name).posted, 0n)).toBe(0n);
    expect(ledger.balance('@usage').posted).toBe(paid.ann + paid.bob);
    const again = Ledger.replay(ledger.journal());
    for (const name of names) expect(again.balance(name)).toEqual(ledger.balance(name));
    charged += due.ann > 0n ? 1 : 0;
  });
  await fc.assert(check, { numRuns: 100, interruptAfterTimeLimit: 40_000 });
  expect(charged).toBeGreaterThan(10);
});
