import { randomBytes } from 'node:crypto';
import { ledgerControl } from '../../primitives/ledger/ledger.js';
import { accountOf } from '../../jobs/policy/prices.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */

/** What is counted and paid for stays, under this name. */
const ERASED = 'erased';

/**
 * Erases what a gateway holds of a job, or of a caller: in memory, in caches and in the data file,
 * whose deleted rows are overwritten and whose log is emptied before a call resolves. The ledger and
 * the sums of usage keep their amounts, without the name. What was logged is not taken back. Main
 * thread.
 */
export class Erasure {
  #deps;

  /**
   * @param {object} deps
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {import('../../jobs/execution/lifecycle.js').JobLifecycle} deps.lifecycle
   * @param {import('../../jobs/execution/answer-cache.js').AnswerCache} deps.cache
   * @param {import('../../jobs/admission/admission.js').Admission} deps.admission
   * @param {import('../conversations/turns.js').Turns} deps.turns
   * @param {import('../operations/operations.js').Operations} deps.operations
   * @param {ReturnType<typeof import('../billing/service.js').createBilling>} deps.billing
   * @param {import('../../primitives/ledger/ledger.js').Ledger} deps.ledger
   * @param {import('../../primitives/kv/namespaces.js').KvPartition[]} deps.partitions of keys and
   *   values, by principal
   * @param {import('../../jobs/storage/job-store.js').JobStore} [deps.store]
   */
  constructor(deps) {
    this.#deps = deps;
  }

  /**
   * Cancels a job that runs, and erases all of it: its text, metadata, shared answer and idempotency
   * key. What it added to a conversation belongs to the conversation.
   * @param {JobRecord} record
   * @returns {Promise<void>} resolves when nothing of it is left
   * @throws {import('../../internal/util/http-error.js').HttpError} 507 or 503 when the data file
   *   cannot be written; what is in memory is erased then
   */
  async job(record) {
    await this.#endAndPurge([record]);
    const keys = this.#deps.admission.forgetKeys(({ jobId }) => jobId === record.id);
    await this.#deps.store?.erase({ jobs: [record.id], keys });
  }

  /**
   * Ends and erases all that one caller has: jobs, workflows, crawls, answers, idempotency keys,
   * conversations, keys and values. The account of that name, and its usage, lose the name. What the
   * caller begins meanwhile may stay.
   * @param {string} principal
   * @returns {Promise<void>} as `job`
   * @throws {import('../../internal/util/http-error.js').HttpError} as `job`
   */
  async principal(principal) {
    const { lifecycle, operations, cache, admission, billing, ledger, partitions, store } =
      this.#deps;
    await operations.erase(principal);
    await this.#endAndPurge(lifecycle.jobs.of(principal));
    cache.erase((answer) => answer.principal === principal);
    admission.forgetKeys((key) => key.principal === principal);
    for (const partition of partitions) partition.of(principal).clear();
    const account = accountOf({ principal });
    ledgerControl.rename(ledger, account, `${ERASED}:${randomBytes(12).toString('hex')}`);
    billing.forgetAccount(account);
    const usage = billing.renameUsage(principal, ERASED);
    await store?.erasePrincipal(principal, usage);
  }

  /** @param {JobRecord[]} records */
  async #endAndPurge(records) {
    const { hub, lifecycle, cache, turns } = this.#deps;
    for (const record of records) lifecycle.cancel(record, 'client_request');
    // Answered when the ending is in the journal; then its listeners have settled it.
    await Promise.all(records.map(({ handle }) => hub.snapshot(handle, { text: false })));
    await hub.barrier();
    // A turn reads the text of its job.
    await Promise.all(records.map((record) => turns.jobSettled(record)));
    for (const record of records) {
      cache.erase((answer) => answer === record.answer);
      lifecycle.erase(record);
    }
    await hub.barrier();
  }
}
