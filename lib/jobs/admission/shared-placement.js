import { TurnMoved } from '../errors.js';
import { checkFeatures } from './features.js';
import { endpoints } from '../policy/config.js';

/** @typedef {import('../job.js').JobRecord} JobRecord */
/** @typedef {import('../checked-request.js').CheckedRequest} CheckedRequest */
/** @typedef {import('./types.js').Submission} Submission */
/** @typedef {import('./types.js').OwnSubmission} OwnSubmission */
/** @typedef {import('../../primitives/limiters/quota.js').QuotaEntry} QuotaEntry */
/** @typedef {import('./types.js').Answer} Answer */

/** The answer that a job should share no longer exists. */
class AnswerGone extends Error {}

/**
 * Places jobs of a gateway of several processes: Redis admits them with their limits, credit and turn, then
 * this process queues them. Main thread.
 */
export class SharedPlacement {
  #entry;
  #shared;
  #parts;
  #charges;
  #billing;
  #turns;
  #provider;
  #lifecycle;

  /**
   * @param {import('./queue-entry.js').QueueEntry} entry
   * @param {import('./types.js').AdmissionDeps} deps
   * @param {import('./types.js').DeploymentDeps} deployment
   */
  constructor(entry, { options, billing, turns, lifecycle }, { shared, parts, charges }) {
    this.#entry = entry;
    this.#shared = shared;
    this.#parts = parts;
    this.#charges = charges;
    this.#billing = billing;
    this.#turns = turns;
    this.#provider = options.provider;
    this.#lifecycle = lifecycle;
  }

  /**
   * Has Redis admit a job with its reservations, then places it in this process.
   * @param {JobRecord} record
   * @param {CheckedRequest} request whole
   * @param {Submission} submission
   * @param {QuotaEntry[]} entries
   * @returns {Promise<Answer | undefined>} the answer of its key, if another request created the job
   */
  async place(record, request, submission, entries) {
    const { access, endpoint = endpoints.jobs } = submission;
    const plan = this.#entry.planOf(record, request, submission);
    let begins = this.#entry.begins(plan);
    for (;;) {
      this.#entry.checkRoom(record, submission);
      record.request = this.#billing.bounded(request, record.model);
      const own = begins ? 'begins' : 'shares';
      /** @type {import('../shared-parts.js').AdmissionDetails} */
      const admitted = { request, access, endpoint, answer: plan === undefined ? 'alone' : own };
      const known = await this.#shared.admit(record, this.#lifecycle.limitsOf(record), {
        asked: this.#parts.ask(record, admitted),
        taken: (results) => this.#parts.taken(record, results, admitted),
        refused: (name, refusal) =>
          /** @type {Error} */ (this.#parts.refused(record, name, refusal, admitted)),
      });
      if (known !== undefined) return known;
      try {
        // The client may have disconnected while Redis was answering.
        submission.signal?.throwIfAborted();
        await this.#entry.enter(record, plan, submission.signal, {
          alone: () => {},
          share: () => {},
          reserve: (answer) => {
            if (!begins) throw new AnswerGone();
            this.#parts.begun(record, answer);
          },
        });
        entries.push(...(record.reservation?.entries ?? []));
        await this.#shared.placed(record);
        return undefined;
      } catch (error) {
        const retracted = this.#shared.retract(record);
        if (!(error instanceof AnswerGone)) throw error;
        // The next admission reserves the whole answer.
        await retracted;
        begins = true;
      }
    }
  }

  /**
   * Like `place`, for the turn of a conversation.
   * @param {JobRecord} record
   * @param {CheckedRequest} request without the history
   * @param {Submission} submission
   * @param {QuotaEntry[]} entries
   * @returns {Promise<Answer | undefined>}
   */
  async placeTurn(record, request, submission, entries) {
    try {
      for (;;) {
        record.request = request;
        const whole = await this.#turns.begin(record, submission.signal);
        checkFeatures(this.#provider, whole);
        try {
          return await this.place(record, whole, submission, entries);
        } catch (error) {
          if (!(error instanceof TurnMoved)) throw error;
        }
      }
    } finally {
      this.#turns.decided?.(record);
    }
  }

  /**
   * Places a child job, which exists in this process only; its reservations are in Redis.
   * @param {JobRecord} record
   * @param {CheckedRequest} request
   * @param {Submission & {covered?: import('../rate-limits/reservations.js').Covered}} submission
   */
  async placePart(record, request, submission) {
    const { access, signal, endpoint = endpoints.jobs, covered } = submission;
    this.#entry.checkRoom(record, submission);
    const subject = { access, model: record.model, endpoint };
    record.reservation = await this.#charges.reservations.forPart(request, subject, covered);
    try {
      await this.#charges.calls.hold(record, request, access);
      this.#entry.checkRoom(record, submission);
      record.request = this.#billing.bounded(request, record.model);
      await this.#entry.enqueue(record, signal, () => this.#lifecycle.accept(record));
    } catch (error) {
      await this.#charges.calls.release(record);
      await record.reservation?.release();
      throw error;
    }
  }
}
