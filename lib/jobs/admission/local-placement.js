import { endpoints } from '../policy/config.js';

/** @typedef {import('../job.js').JobRecord} JobRecord */
/** @typedef {import('../checked-request.js').CheckedRequest} CheckedRequest */
/** @typedef {import('./types.js').Submission} Submission */
/** @typedef {import('./types.js').OwnSubmission} OwnSubmission */
/** @typedef {import('../../primitives/limiters/quota.js').QuotaEntry} QuotaEntry */

/** Places jobs of a gateway with a single process. Main thread. */
export class LocalPlacement {
  #entry;
  #reservations;
  #billing;
  #lifecycle;
  #hub;

  /**
   * @param {import('./queue-entry.js').QueueEntry} entry
   * @param {import('./types.js').AdmissionDeps} deps
   */
  constructor(entry, { reservations, billing, lifecycle, hub }) {
    this.#entry = entry;
    this.#reservations = reservations;
    this.#billing = billing;
    this.#lifecycle = lifecycle;
    this.#hub = hub;
  }

  /**
   * Places a job; retries once if a limit or the credit refuses it.
   * @param {JobRecord} record
   * @param {CheckedRequest} request whole
   * @param {OwnSubmission} submission
   * @param {QuotaEntry[]} entries
   * @returns {Promise<void> | undefined} undefined: the job has its place
   */
  place(record, request, submission, entries) {
    const again = async (/** @type {any} */ error) => {
      if (error?.status !== 429 && error?.status !== 402) throw error;
      // A client may read its job's terminal event, written by the reactor, before this thread
      // has released the job's reservation.
      await this.#hub.barrier();
      await this.#tryPlace(record, request, submission, entries);
    };
    let placing;
    try {
      placing = this.#tryPlace(record, request, submission, entries)?.catch(again);
    } catch (error) {
      placing = again(error);
    }
    if (placing === undefined && record.written === undefined) return undefined;
    return Promise.resolve(placing).then(() => {
      if (record.written !== undefined) return this.#written(record);
    });
  }

  /**
   * Resolves when the acknowledged job is on the disk.
   * @param {JobRecord} record
   */
  async #written(record) {
    try {
      await record.written;
    } catch (/** @type {any} */ error) {
      this.#billing.voidJob(record);
      this.#lifecycle.rollbackJob(record, error);
      throw error;
    }
  }

  /**
   * @param {JobRecord} record
   * @param {CheckedRequest} request its own
   * @param {Submission & {covered?: import('../rate-limits/reservations.js').Covered}} submission
   * @param {QuotaEntry[]} entries
   * @returns {Promise<void> | undefined} resolves when the job exists; undefined: it already exists
   */
  #tryPlace(record, request, submission, entries) {
    const { access, signal, endpoint, covered } = submission;
    const { model, part } = record;
    const ofPart = part !== undefined;
    this.#entry.checkRoom(record, submission);
    const plan = this.#entry.planOf(record, request, submission);
    const subject = { access, model, endpoint: endpoint ?? endpoints.jobs };
    const options = { shared: plan !== undefined, patient: ofPart, covered };
    record.reservation = this.#reservations.forJob(request, subject, options);
    entries.push(...(record.reservation?.entries ?? []));
    // The provider gets the request limited to the hold; limits and cache use the original request.
    record.request = this.#billing.bounded(request, model);
    const undo = (/** @type {unknown} */ error) => {
      record.reservation?.release();
      this.#billing.releaseHold(record);
      entries.length = 0;
      throw error;
    };
    try {
      return this.#entry
        .enter(record, plan, signal, {
          alone: () => this.#billing.hold(record, request, access),
          reserve: (answer) => {
            answer.reservation = this.#reservations.forAnswer(request, subject, record.reservation);
            entries.push(...(answer.reservation?.entries ?? []));
            this.#billing.hold(record, request, access, { answer });
          },
          share: () => this.#billing.hold(record, request, access, { cached: true }),
        })
        ?.catch(undo);
    } catch (error) {
      return undo(error);
    }
  }
}
