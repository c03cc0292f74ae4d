import { AGE_MS_MAX, Orphans, isJoinable } from './orphans.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('./orphans.js').FaceRequest} FaceRequest */
/** @typedef {import('./orphans.js').OrphansPort} OrphansPort */

/**
 * The orphans of all processes of a deployment: a retry at any process joins its job.
 * While Redis is away, jobs that lose their clients do not become orphans. Main thread.
 * @implements {OrphansPort}
 */
export class SharedOrphans {
  /** Jobs of requests with several prompts: only their own process has the relation between them. */
  #own = new Orphans();
  /** Orphans added by this process. @type {Map<JobRecord, FaceRequest>} */
  #added = new Map();
  #store;
  #directory;

  /**
   * @param {object} deps
   * @param {import('../../cluster/jobs/face-store.js').FaceStore} deps.store
   * @param {import('../../jobs/job-directory.js').JobDirectory} deps.directory
   */
  constructor({ store, directory }) {
    this.#store = store;
    this.#directory = directory;
  }

  /** @type {OrphansPort['add']} */
  add(record, request) {
    if (record.peers.length > 0) {
      this.#own.add(record, request);
      return;
    }
    this.#added.set(record, request);
    this.#store.addOrphan(record, request, AGE_MS_MAX).catch(() => {});
  }

  /** @type {OrphansPort['delete']} */
  delete(record) {
    this.#own.delete(record);
    const request = this.#added.get(record);
    if (request === undefined) return;
    this.#added.delete(record);
    this.#store.removeOrphan(record, request).catch(() => {});
  }

  /** @type {OrphansPort['take']} */
  async take(principal, request) {
    const own = this.#own.take(principal, request);
    if (own !== undefined) return own;
    for (;;) {
      const id = await this.#store.takeOrphan(principal, request);
      if (id === undefined) return undefined;
      const record = await this.#directory.find(id, principal);
      if (record !== undefined && isJoinable(record, Date.now())) return record;
    }
  }
}
