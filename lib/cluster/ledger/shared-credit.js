import { PersistentCalls } from '../client/persistent-calls.js';
import { fieldsOf } from '../client/scripts.js';

/** Time for which Redis remembers a settlement; a retry after this time could settle twice, so there is none. */
const SETTLED_MS = 3_600_000;
/** Maximum hours in one answer of a script. */
const HOURS = 48;

/**
 * The request for a hold, as strings: `overdraft` of the account if it is not open; `timeout` in
 * microseconds.
 * @typedef {{account: string, overdraft: string, amount: string, timeout: string}} AskedHold
 */
/**
 * The refusal of a hold, as strings: the account is closed; `more`: expired holds must first be
 * released; or the balance is too small.
 * @typedef {{closed?: '1', more?: '1', posted: string, held: string, overdraft: string}} HoldRefusal
 */
/**
 * A settlement, as strings: `amount` is the part of `cost` that the hold covers, `rest` the other part;
 * `nothing`: no amount was held. `later`: another call settles it, or this settlement applies if the process dies
 * before that.
 * @typedef {{account: string, overdraft: string, cost: string, amount: string, rest: string, nothing?: '1',
 *   later?: '1'}} HoldSettlement
 */
/**
 * Counts of one ended job, as strings, by the letters of scripts/fragments/usage.lua.
 * @typedef {Partial<Record<'r' | 'p' | 'c' | 'R' | 'P' | 'C' | 'k', string>>} UsageCounts
 */
/** @typedef {{paid: bigint, beyond: bigint}} Billed credits paid from the hold, and beyond it */
/** @typedef {{hour: number, principal: string, model: string, counts: UsageCounts}} UsageRow */

/**
 * Credit and usage in Redis, on the scripts in scripts/ledger. Main thread; `close()` ends
 * all retries.
 */
export class SharedCredit {
  #redis;
  #calls;
  #identity;
  #persistent;

  /**
   * @param {object} deps
   * @param {import('../client/redis-client.js').RedisClient} deps.redis
   * @param {import('../client/script-calls.js').ScriptCalls} deps.calls
   * @param {import('../members.js').Identity} deps.identity of this process
   * @param {import('../../internal/util/logger.js').Logger} deps.log
   */
  constructor({ redis, calls, identity, log }) {
    this.#redis = redis;
    this.#calls = calls;
    this.#identity = identity;
    this.#persistent = new PersistentCalls({ redis, log });
  }

  /**
   * Holds credit for a call that is not a job. The hold is released when this process dies.
   * @param {string} id
   * @param {AskedHold} asked
   * @returns {Promise<HoldRefusal | undefined>} undefined: credit is held
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 and 507 from Redis
   */
  async hold(id, asked) {
    const process = this.#identity.name;
    try {
      const [answer, refusal] = await this.#calls.run(
        'ledger/hold',
        ['ledger'],
        [id, JSON.stringify(asked), process],
      );
      this.#identity.checkMember(answer, process);
      return answer === 'OK' ? undefined : JSON.parse(refusal);
    } catch (/** @type {any} */ error) {
      // Redis may hold it. After the deadline of that script no hold can follow.
      if (error.uncertain) void this.#settle({ id, void: '1' });
      throw error;
    }
  }

  /**
   * Releases a hold made by `hold`.
   * @param {string} id
   * @returns {Promise<void>} after the first attempt; retries follow until Redis answers
   */
  async release(id) {
    await this.#settle({ id, void: '1' });
  }

  /**
   * Settles a call, or an answer that has outlasted its job, once.
   * @param {string} id
   * @param {object} ending
   * @param {number} [ending.hold] of a job; default: that of `hold`
   * @param {HoldSettlement} [ending.settlement] default: nothing is held
   * @param {{principal: string, model: string, counts: UsageCounts}} [ending.usage]
   * @returns {Promise<Billed | undefined>} after the first attempt; retries follow until Redis answers. undefined:
   *   it was settled before, or is not settled yet
   */
  async settle(id, { hold, settlement, usage }) {
    const answer = await this.#settle({
      id,
      hold: hold === undefined ? '' : String(hold),
      settlement: settlement === undefined ? '' : JSON.stringify(settlement),
      principal: usage?.principal,
      model: usage?.model,
      counts: usage && JSON.stringify(usage.counts),
    });
    if (answer?.[0] !== 'OK') return undefined;
    return { paid: BigInt(answer[1]), beyond: BigInt(answer[2]) };
  }

  /**
   * @param {{id: string, hold?: string, void?: string, settlement?: string, principal?: string, model?: string,
   *   counts?: string}} what
   * @returns {Promise<any[] | undefined>}
   */
  async #settle({ id, hold = '', void: isVoid = '', settlement = '', ...usage }) {
    const { principal = '', model = '', counts = '' } = usage;
    // Without a deadline: the settlement must happen, and happens once. The process may have a new name at the next
    // attempt.
    const args = () => [
      ...['', '', id, hold, isVoid, settlement, principal, model, counts],
      ...[String(SETTLED_MS), this.#identity.name],
    ];
    return this.#persistent.tryFirst('ledger/settle', [`settled:${id}`], args);
  }

  /**
   * @param {string} id of an ended job that may have paid less than its cost
   * @returns {Promise<Billed | undefined>} undefined: it has paid its cost, or the payment is unknown
   */
  async billed(id) {
    const text = await this.#redis.command('HGET', `job:${id}`, 'billed').catch(() => null);
    const [, paid, beyond] = /^(\d+) (\d+)$/.exec(text ?? '') ?? [];
    if (paid === undefined) return undefined;
    return { paid: BigInt(paid), beyond: BigInt(beyond) };
  }

  /**
   * @param {number} fromHour
   * @param {number} toHour inclusive
   * @param {string} [principal] default: all
   * @returns {Promise<UsageRow[]>} by hour
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 while Redis is away
   */
  async usage(fromHour, toHour, principal) {
    const mine = principal === undefined ? ['0', ''] : ['1', principal];
    /** @type {UsageRow[]} */
    const rows = [];
    for (let from = fromHour; ;) {
      const args = [String(from), String(toHour), String(HOURS), ...mine];
      const [, ...found] = await this.#calls.run('ledger/usage', ['usagehours'], args);
      for (const [hour, ...flat] of found) rows.push(...rowsOf(Number(hour), flat));
      if (found.length === 0) return rows;
      from = Number(found.at(-1)?.[0]) + 1;
    }
  }

  /**
   * Moves the usage of a principal to another name.
   * @param {string} principal
   * @param {string} name
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 while Redis is away
   */
  async renameUsage(principal, name) {
    for (let from = '-inf'; from !== '';) {
      const args = [principal, name, from, String(HOURS)];
      [, from] = await this.#calls.run('ledger/rename_usage', ['usagehours'], args);
    }
  }

  /** Stops all retries. */
  close() {
    this.#persistent.close();
  }
}

/**
 * @param {number} hour
 * @param {string[]} flat
 * @returns {UsageRow[]}
 */
function rowsOf(hour, flat) {
  /** @type {Map<string, UsageRow>} */
  const rows = new Map();
  for (const [field, count] of Object.entries(fieldsOf(flat))) {
    const name = field.slice(0, -2);
    let row = rows.get(name);
    if (row === undefined) {
      const [principal, model] = JSON.parse(name);
      rows.set(name, (row = { hour, principal, model, counts: {} }));
    }
    row.counts[/** @type {keyof UsageCounts} */ (field.slice(-1))] = count;
  }
  return [...rows.values()];
}
