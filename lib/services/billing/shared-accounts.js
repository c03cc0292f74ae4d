import { NOTHING } from './accounts.js';
import { groupRows, hoursOf } from './usage.js';
import { linkedRequest, requests } from '../../primitives/ledger/requests.js';
import { overdraftToBe } from './charges.js';

/** @typedef {import('./accounts.js').AccountsPort} AccountsPort */
/** @typedef {import('../../jobs/storage/rows.js').Counts} Counts */

/**
 * The accounts of a deployment: its ledger in Redis, with accounts opened on first use.
 * @implements {AccountsPort}
 */
export class SharedAccounts {
  #ledger;
  #access;

  /**
   * @param {object} deps
   * @param {import('../../cluster/ledger/shared-ledger.js').SharedLedger} deps.ledger
   * @param {import('../../jobs/policy/access-control.js').AccessControl} deps.access names the accounts that
   *   may be opened, and their overdrafts
   */
  constructor({ ledger, access }) {
    this.#ledger = ledger;
    this.#access = access;
  }

  /** @type {(...args: Parameters<AccountsPort['balance']>) => Promise<any>} */
  async balance(account, { unopened = false } = {}) {
    const found = await this.#ledger.find(account);
    if (found !== undefined) return found;
    if (!unopened && !this.#access.namesAccount(account)) return undefined;
    return { ...NOTHING, overdraft: overdraftToBe(this.#access, account) };
  }

  /** @type {(...args: Parameters<AccountsPort['events']>) => Promise<any[]>} */
  async events(account, page) {
    try {
      return await this.#ledger.events({ account, ...page });
    } catch (/** @type {any} */ error) {
      if (error.code === 'ERR_NO_SUCH_ACCOUNT') return [];
      throw error;
    }
  }

  /** @type {(id: number) => Promise<any>} */
  async event(id) {
    return (await this.#ledger.events({ after: id - 1, limit: 1 }))[0];
  }

  /** @param {import('./accounts.js').Move} move */
  async move({ method, options, payees = [], named = [] }) {
    /** @type {Map<string, bigint>} */
    const openings = new Map();
    for (const account of [...payees, ...named.filter((name) => this.#isNamed(name))]) {
      if (account !== undefined) openings.set(account, overdraftToBe(this.#access, account));
    }
    const { answer, known } =
      method === 'linked'
        ? await this.#ledger.executeLinked(linkedRequest(options), openings)
        : await this.#ledger.execute(requests[method](options), openings);
    return { ...answer, replayed: known };
  }

  /** @param {string} [account] */
  #isNamed(account) {
    return account !== undefined && this.#access.namesAccount(account);
  }
}

/** Names of counts by their letters in Redis: scripts/fragments/usage.lua. */
const LETTERS = Object.freeze(
  /** @type {const} */ ({
    requests: 'r',
    prompt_tokens: 'p',
    completion_tokens: 'c',
    cached_requests: 'R',
    cached_prompt_tokens: 'P',
    cached_completion_tokens: 'C',
    cost: 'k',
  }),
);

/**
 * @param {Counts} counts
 * @returns {import('../../cluster/ledger/shared-credit.js').UsageCounts}
 */
export function usageFields(counts) {
  return Object.fromEntries(
    Object.entries(LETTERS).map(([name, letter]) => [
      letter,
      String(counts[/** @type {keyof Counts} */ (name)]),
    ]),
  );
}

/**
 * @param {import('../../cluster/ledger/shared-credit.js').UsageRow} row
 * @returns {import('../../jobs/storage/rows.js').UsageRow}
 */
function usageRow({ counts, ...row }) {
  const amounts = Object.entries(LETTERS).map(([name, letter]) => {
    const text = counts[letter] ?? '0';
    return [name, name === 'cost' ? BigInt(text) : Number(text)];
  });
  return { ...row, .../** @type {Counts} */ (Object.fromEntries(amounts)) };
}

/** The usage of a deployment: counted in Redis by the scripts that end jobs. */
export class SharedUsage {
  #credit;

  /** @param {import('../../cluster/ledger/shared-credit.js').SharedCredit} credit */
  constructor(credit) {
    this.#credit = credit;
  }

  /** @param {Parameters<import('./usage.js').UsageTable['query']>[0]} query */
  async query({ fromMs, toMs, groupBy, principal }) {
    const { from, to } = hoursOf({ fromMs, toMs });
    const rows = await this.#credit.usage(from, to - 1, principal);
    return groupRows(rows.map(usageRow), groupBy);
  }
}
