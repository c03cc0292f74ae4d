import { NAME_MAX } from '../../primitives/ledger/checks.js';
import { answerOf, balanceOf, linkedAnswer } from '../../primitives/ledger/answers.js';
import { checkId } from '../../internal/util/validate.js';
import { eventOf, ledgerError } from '../../primitives/ledger/events.js';
import { eventFields, rawAnswer, requestFields } from './events.js';
import { randomId } from '../../internal/util/random-id.js';
import {
  eventsRequest,
  linkedRequest,
  openRequest,
  requests,
} from '../../primitives/ledger/requests.js';

/** @typedef {import('../../primitives/ledger/ledger.js').Ledger} Ledger */
/** @typedef {import('../../primitives/ledger/events.js').LedgerEvent} LedgerEvent */
/** @typedef {import('../../primitives/ledger/answers.js').LedgerAnswer} LedgerAnswer */
/** @typedef {import('../../primitives/ledger/answers.js').LedgerBalance} LedgerBalance */

/** Maximum events and names in one answer of a script. */
const PAGE = 500;
/** Time to live of an incomplete copy of the journal. */
const COPY_MS = 600_000;

/**
 * Accounts to open before a request, unless they are open, with their overdrafts.
 * @typedef {ReadonlyMap<string, bigint>} Openings
 */
/** @typedef {LedgerBalance & {overdraft: bigint}} OpenBalance `overdraft`: AMOUNT_MAX for no limit */

/**
 * A ledger in Redis: a `Ledger` for all processes with the same server and prefix, whose methods return
 * promises. Main thread.
 *
 * Requests, answers, errors and limits are those of `Ledger`. Times are whole microseconds. Expirations and
 * scheduled transfers that are due take effect before the next call of any process, with the time at which they
 * were due. A call that Redis does not answer rejects; repeating it with the same key is safe.
 */
export class SharedLedger {
  #calls;

  /** @param {import('../client/script-calls.js').ScriptCalls} calls */
  constructor(calls) {
    this.#calls = calls;
  }

  /**
   * @param {Parameters<Ledger['open']>[0]} options
   * @returns {Promise<LedgerAnswer>}
   */
  async open(options) {
    const { account, overdraft, metadata } = openRequest(options);
    const args = [account, String(overdraft), metadata];
    const [answer, event] = await this.#run('ledger/open', args);
    if (answer === 'EXISTS') throw ledgerError('ERR_ACCOUNT_EXISTS', 'open', { account });
    return answerOf('open', rawAnswer(event), { account });
  }

  /**
   * @param {Parameters<Ledger['deposit']>[0]} options
   * @returns {Promise<LedgerAnswer>}
   */
  async deposit(options) {
    return (await this.execute(requests.deposit(options))).answer;
  }

  /**
   * @param {Parameters<Ledger['withdraw']>[0]} options
   * @returns {Promise<LedgerAnswer>}
   */
  async withdraw(options) {
    return (await this.execute(requests.withdraw(options))).answer;
  }

  /**
   * @param {Parameters<Ledger['transfer']>[0]} options
   * @returns {Promise<LedgerAnswer>}
   */
  async transfer(options) {
    return (await this.execute(requests.transfer(options))).answer;
  }

  /**
   * @param {Parameters<Ledger['linked']>[0]} options
   * @returns {Promise<ReturnType<Ledger['linked']>>}
   */
  async linked(options) {
    return (await this.executeLinked(linkedRequest(options))).answer;
  }

  /**
   * @param {Parameters<Ledger['close']>[0]} options
   * @returns {Promise<LedgerAnswer>}
   */
  async close(options) {
    return (await this.execute(requests.close(options))).answer;
  }

  /**
   * @param {Parameters<Ledger['hold']>[0]} options
   * @returns {Promise<ReturnType<Ledger['hold']>>}
   */
  async hold(options) {
    const { answer } = await this.execute(requests.hold(options));
    const { event, balance } = answer;
    return { hold: event, balance };
  }

  /**
   * @param {Parameters<Ledger['settle']>[0]} options
   * @returns {Promise<LedgerAnswer>}
   */
  async settle(options) {
    return (await this.execute(requests.settle(options))).answer;
  }

  /**
   * @param {Parameters<Ledger['void']>[0]} options
   * @returns {Promise<LedgerAnswer>}
   */
  async void(options) {
    return (await this.execute(requests.void(options))).answer;
  }

  /**
   * @param {Parameters<Ledger['reverse']>[0]} options
   * @returns {Promise<LedgerAnswer>}
   */
  async reverse(options) {
    return (await this.execute(requests.reverse(options))).answer;
  }

  /**
   * @param {Parameters<Ledger['schedule']>[0]} options
   * @returns {Promise<ReturnType<Ledger['schedule']>>}
   */
  async schedule(options) {
    const { answer } = await this.execute(requests.schedule(options));
    return { scheduled: answer.event };
  }

  /**
   * @param {Parameters<Ledger['cancelScheduled']>[0]} options
   * @returns {Promise<LedgerAnswer>}
   */
  async cancelScheduled(options) {
    return (await this.execute(requests.cancelScheduled(options))).answer;
  }

  /**
   * @param {string} account
   * @returns {Promise<LedgerBalance>}
   */
  async balance(account) {
    checkId('account', account, { max: NAME_MAX });
    const found = await this.find(account);
    if (found === undefined) throw ledgerError('ERR_NO_SUCH_ACCOUNT', 'balance', { account });
    const { overdraft: _overdraft, ...balance } = found;
    return balance;
  }

  /**
   * @param {Parameters<Ledger['events']>[0]} [options]
   * @returns {Promise<LedgerEvent[]>}
   */
  async events(options) {
    const { account, after, limit } = eventsRequest(options);
    const found = await this.#events(account ?? '', after, limit);
    if (found === undefined) throw ledgerError('ERR_NO_SUCH_ACCOUNT', 'events', { account });
    return found;
  }

  /** @returns {Promise<LedgerEvent[]>} */
  async journal() {
    return (await this.#events('', 0, Infinity)) ?? [];
  }

  /** @returns {Promise<string[]>} */
  async accounts() {
    /** @type {string[]} */
    const names = [];
    for (let page = PAGE; page === PAGE;) {
      const after = names.at(-1) ?? '';
      const [, ...more] = await this.#calls.run(
        'ledger/accounts',
        ['accts'],
        [after, String(PAGE)],
      );
      names.push(...more);
      page = more.length;
    }
    // The first account to be opened creates them.
    return names.length === 0 ? ['@external', '@usage'] : names;
  }

  /**
   * @param {import('../../primitives/ledger/requests.js').LedgerRequest} request
   * @param {Openings} [openings]
   * @returns {Promise<{answer: LedgerAnswer, known: boolean}>} `known`: the key had been used
   */
  async execute(request, openings) {
    const { operation, key } = request;
    const args = [openingsToJson(openings), ...requestFields(request)];
    const [answer, known, event] = await this.#run('ledger/execute', args);
    if (answer === 'CONFLICT') throw conflict(operation, key);
    return { answer: answerOf(operation, rawAnswer(event), { key }), known: known === '1' };
  }

  /**
   * @param {ReturnType<typeof linkedRequest>} request
   * @param {Openings} [openings]
   * @returns {Promise<{answer: ReturnType<Ledger['linked']>, known: boolean}>} `known`: the key had been used
   */
  async executeLinked({ key, transfers }, openings) {
    const each = transfers.flatMap(({ from, to, amount, metadata }) => [
      from,
      to,
      String(amount),
      metadata,
    ]);
    const args = [openingsToJson(openings), key, ...each];
    const [answer, known, ...events] = await this.#run('ledger/linked', args);
    if (answer === 'CONFLICT') throw conflict('linked', key);
    return { answer: linkedAnswer(events.map(rawAnswer), key), known: known === '1' };
  }

  /**
   * @param {string} account
   * @returns {Promise<OpenBalance | undefined>} undefined: no such account
   */
  async find(account) {
    const [answer, posted, held, overdraft, closed] = await this.#run('ledger/balance', [account]);
    if (answer === 'NONE') return undefined;
    const balance = balanceOf(BigInt(posted), BigInt(held));
    return { ...balance, overdraft: BigInt(overdraft), ...(closed === '1' && { closed: true }) };
  }

  /**
   * Gives an account another name, in all events too, whose keys and metadata are erased; amounts stay. Needs
   * as much memory as the journal meanwhile.
   * @param {string} account
   * @param {string} name an unused name
   */
  async rename(account, name) {
    const copy = `ledgercopy:${randomId('copy')}`;
    for (let answer = ['MORE']; answer[0] === 'MORE';) {
      const args = [account, name, String(PAGE), String(COPY_MS)];
      answer = await this.#calls.run('ledger/rename', ['ledger', copy], args);
    }
  }

  /**
   * @param {string} account empty: the whole journal
   * @param {number} after
   * @param {number} limit
   * @returns {Promise<LedgerEvent[] | undefined>} undefined: no such account
   */
  async #events(account, after, limit) {
    /** @type {LedgerEvent[]} */
    const events = [];
    for (let page = PAGE; page === PAGE && events.length < limit;) {
      page = Math.min(PAGE, limit - events.length);
      const from = events.at(-1)?.id ?? after;
      const args = [account, String(from), String(page)];
      const [answer, ...entries] = await this.#run('ledger/events', args);
      if (answer === 'NONE') return undefined;
      for (const entry of entries) events.push(eventOf(eventFields(entry)));
      if (entries.length < page) break;
    }
    return events;
  }

  /**
   * @param {string} name of a script
   * @param {string[]} args
   * @returns {Promise<any[]>} its answer, after all due events have taken effect
   */
  async #run(name, args) {
    for (;;) {
      const answer = await this.#calls.run(name, ['ledger'], args);
      if (answer[0] !== 'MORE') return answer;
    }
  }
}

/** @param {Openings} [openings] */
function openingsToJson(openings) {
  if (openings === undefined || openings.size === 0) return '';
  return JSON.stringify([...openings].map(([name, overdraft]) => [name, String(overdraft)]));
}

/**
 * @param {string} operation
 * @param {string} key
 */
function conflict(operation, key) {
  return ledgerError('ERR_IDEMPOTENCY_CONFLICT', `${operation} ${JSON.stringify({ key })}`, {
    key,
  });
}
