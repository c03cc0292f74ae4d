import { ledgerControl } from '../../primitives/ledger/ledger.js';
import { ERASED, erasedAccount } from '../billing/erased.js';
import { accountOf } from '../../jobs/policy/prices.js';
import { choiceId } from '../../jobs/job.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */

/**
 * Erases the data of a job or of a caller from memory, caches and the data file. Deleted rows are
 * overwritten and the write-ahead log is emptied before a call resolves. The ledger and the usage
 * totals keep their amounts without the name. Log lines already written are not erased. Main
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
   * @param {Pick<import('../conversations/turns.js').Turns, 'jobSettled'>} deps.turns
   * @param {import('../operations/operations.js').Operations} deps.operations
   * @param {import('../billing/service.js').Billing} deps.billing
   * @param {import('../../primitives/ledger/ledger.js').Ledger} deps.ledger
   * @param {import('../../primitives/kv/port.js').KvPort} deps.kv
   * @param {import('../../primitives/kv/namespaces.js').KvPartition[]} deps.partitions further partitions, by
   *   principal
   * @param {Pick<import('../durable/port.js').DurablePort, 'erase'>} [deps.durable] of this process only
   * @param {Pick<import('../audit/log.js').AuditLog, 'eraseJob' | 'erasePrincipal'>} [deps.audit] of this process
   *   only
   * @param {{erase: (principal: string, subject?: string) => void}} deps.webhooks erases webhooks of a
   *   principal, or about one job
   * @param {import('../../jobs/storage/job-store.js').JobStore} [deps.store]
   */
  constructor(deps) {
    this.#deps = deps;
  }

  /**
   * Cancels a running job, and erases all of its data: its text, metadata, shared answer and
   * idempotency key, and webhooks not delivered yet. Messages that it added to a conversation stay in the
   * conversation.
   * @param {JobRecord} record
   * @returns {Promise<void>} resolves when all of its data is erased
   * @throws {import('../../internal/util/http-error.js').HttpError} 507 or 503 when the data file
   *   cannot be written; the data in memory is erased nevertheless
   */
  async job(record) {
    await this.#endAndPurge([record]);
    const keys = this.#deps.admission.forgetKeys(({ jobId }) => jobId === record.id);
    this.#deps.webhooks.erase(record.principal, record.id);
    this.#deps.audit?.eraseJob(record.id);
    const choices = record.siblings.map((_, i) => choiceId(record.id, i + 1));
    await this.#deps.store?.erase({ jobs: [record.id, ...choices], keys });
  }

  /**
   * Ends and erases everything of one caller: jobs, workflows, crawls, answers, idempotency keys,
   * conversations, durable streams, keys and values, webhooks not delivered yet. The caller's account,
   * usage and entries of the audit log are renamed. Requests that the caller makes meanwhile may survive.
   * @param {string} principal
   * @returns {Promise<void>} see `job`
   * @throws {import('../../internal/util/http-error.js').HttpError} see `job`
   */
  async principal(principal) {
    const { lifecycle, operations, billing, ledger, kv, partitions, store } = this.#deps;
    await operations.erase(principal);
    await this.#endAndPurge(lifecycle.jobs.of(principal));
    this.forget(principal);
    for (const partition of partitions) partition.of(principal).clear();
    await kv.erase(principal);
    const account = accountOf({ principal });
    ledgerControl.rename(ledger, account, erasedAccount());
    billing.forgetAccount(account);
    const usage = billing.renameUsage(principal, ERASED);
    await store?.erasePrincipal(principal, usage);
  }

  /**
   * Erases a caller's data in this process's memory besides jobs: answers, idempotency keys, webhooks, durable
   * streams. Its entries of the audit log are renamed.
   * @param {string} principal
   */
  forget(principal) {
    const { cache, admission, webhooks, audit, durable } = this.#deps;
    cache.erase((answer) => answer.principal === principal);
    admission.forgetKeys((key) => key.principal === principal);
    webhooks.erase(principal);
    audit?.erasePrincipal(principal);
    void durable?.erase(principal);
  }

  /** @param {JobRecord[]} records */
  async #endAndPurge(records) {
    const { hub, lifecycle, cache, turns } = this.#deps;
    for (const record of records) lifecycle.cancel(record, 'client_request');
    // Resolves when the terminal event is in the journal; by then its listeners have settled the
    // job.
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
