import { describeJobs } from './view.js';

/** @typedef {import('./job.js').JobRecord} JobRecord */

/**
 * Looks up jobs of this process, or of all processes of a deployment.
 * @typedef {object} JobDirectory
 * @property {(id: string, principal: string) =>
 *   JobRecord | undefined | Promise<JobRecord | undefined>} find undefined also for another principal's
 *   job and for a child job. The record's handle is that of its log in the hub of this process
 * @property {(query: Parameters<import('./job-table.js').JobTable['list']>[0]) =>
 *   Promise<{data: import('./view.js').Job[], hasMore: boolean}>} list a page, newest first, without
 *   texts; throws an HttpError 400 when `after` is unknown
 * @property {(record: JobRecord, reason: 'client_request' | 'superseded') => void | Promise<void>} cancel
 *   without effect on an ended job. Once it has resolved, a snapshot of the job's log is its ending
 * @property {(record: JobRecord) => Promise<void>} settled resolves once the record has any ending that a
 *   client of any process may have received
 */

/**
 * The jobs of a gateway with a single process. Main thread; lives as long as its lifecycle.
 * @implements {JobDirectory}
 */
export class LocalJobs {
  #hub;
  #lifecycle;

  /**
   * @param {object} deps
   * @param {import('../streams/hub.js').JobHub} deps.hub
   * @param {import('./execution/lifecycle.js').JobLifecycle} deps.lifecycle
   */
  constructor({ hub, lifecycle }) {
    this.#hub = hub;
    this.#lifecycle = lifecycle;
  }

  /** @type {JobDirectory['find']} */
  find(id, principal) {
    return this.#lifecycle.jobs.get(id, principal);
  }

  /** @type {JobDirectory['list']} */
  list(query) {
    return describeJobs(this.#hub, this.#lifecycle.jobs, query);
  }

  /** @type {JobDirectory['cancel']} */
  cancel(record, reason) {
    this.#lifecycle.cancel(record, reason);
  }

  /** @type {JobDirectory['settled']} */
  async settled() {
    // A reactor may have sent the ending to a client before this thread has its event.
    await this.#hub.barrier();
  }
}
