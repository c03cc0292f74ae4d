import { setTimeout as sleep } from 'node:timers/promises';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */

/** Time limit for offers; jobs not offered by then are taken over once this process counts as dead. */
const OFFER_MS = 2000;
/** Wait before an offer is retried. */
const AGAIN_MS = 100;

/**
 * Hands the jobs of a process that leaves to the other processes. Main thread.
 *
 * The last process of a deployment offers its jobs as well, for the next process that starts.
 */
export class Departure {
  #cluster;
  #lifecycle;
  #hub;
  #onLost;
  #log;

  /**
   * @param {object} deps
   * @param {import('../cluster.js').Cluster} deps.cluster
   * @param {import('../../jobs/execution/lifecycle.js').JobLifecycle} deps.lifecycle
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {'fail' | 'rerun'} deps.onProducerLost
   * @param {import('../../internal/util/logger.js').Logger} deps.log
   */
  constructor({ cluster, lifecycle, hub, onProducerLost, log }) {
    this.#cluster = cluster;
    this.#lifecycle = lifecycle;
    this.#hub = hub;
    this.#onLost = onProducerLost;
    this.#log = log;
  }

  /** Offers the jobs that this process has not begun. They keep their attempt. */
  async offerQueued() {
    const queued = this.#own().filter((record) => !hasBegun(record));
    await Promise.all(queued.map((record) => this.#offer(record, false)));
  }

  /** Offers all jobs that can be run elsewhere from their beginning; the others stay here. */
  async offerRest() {
    await this.offerQueued();
    await Promise.all(this.#own().map((record) => this.#offerRunning(record)));
  }

  /**
   * Offers a job that found no place in the queue of this process.
   * @param {JobRecord} record not begun
   */
  async giveBack(record) {
    if (!record.ended) await this.#offer(record, false);
  }

  /** Running and waiting jobs that other processes can see. */
  #own() {
    return this.#lifecycle.jobs.active().filter(({ part }) => part === undefined);
  }

  /** @param {JobRecord} record begun */
  async #offerRunning(record) {
    // No token is added after this.
    if (!record.providerDone) record.abort.abort();
    await this.#hub.barrier();
    const logs = [record.handle, ...record.siblings];
    const states = await Promise.all(logs.map((log) => this.#hub.snapshot(log, { text: false })));
    const hasTokens = states.some((state) => (state?.metrics.tokens ?? 0) > 0);
    if (record.ended || (hasTokens && this.#onLost === 'fail')) return;
    await this.#offer(record, true);
  }

  /**
   * @param {JobRecord} record
   * @param {boolean} again whether another process begins its next attempt
   */
  async #offer(record, again) {
    this.#lifecycle.drop(record);
    const untilMs = performance.now() + OFFER_MS;
    for (;;) {
      const args = [this.#cluster.process, record.id, again ? '1' : '0'];
      try {
        await this.#cluster.redis.run('offer', [`job:${record.id}`], args);
        return;
      } catch (/** @type {any} */ err) {
        if (performance.now() > untilMs) {
          this.#log.warn({ err, job_id: record.id }, 'a job was not handed over');
          return;
        }
      }
      await sleep(AGAIN_MS);
    }
  }
}

/** @param {JobRecord} record @returns {boolean} whether this process has called its provider */
const hasBegun = ({ attempts, firstAttempt }) => attempts >= firstAttempt;
