import { HttpError } from '../../internal/util/http-error.js';
import { SluiceError, abortReason } from '../../internal/util/errors.js';
import { whenAborted } from '../../internal/util/abort.js';

/** @typedef {import('../../jobs/job.js').Part} Part */
/** @typedef {import('../../streams/types.js').JobState} JobState */

/**
 * Result of one child job.
 * @typedef {object} ChildResult
 * @property {string} text of the answer; of an answer that has only tool calls, these as JSON
 * @property {'stop' | 'length' | 'tool_calls' | 'content_filter'} reason
 * @property {{prompt_tokens: number, completion_tokens: number}} usage
 */

/** Statuses of transient refusals. */
const PASSING = new Set([429, 503]);

/** Failure of a child job: its error in answers, and whether a retry may help. */
export class ChildJobError extends SluiceError {
  /**
   * @param {{code: string, message: string, type: string}} wire
   * @param {object} [details]
   * @param {boolean} [details.passing] known to be transient: retried by default
   * @param {boolean} [details.retryable] default true: a retry is allowed
   * @param {number} [details.retryAfterMs]
   * @param {unknown} [details.cause]
   */
  constructor(wire, { passing = false, retryable = true, retryAfterMs, cause } = {}) {
    super(`ERR_${wire.code.toUpperCase()}`, wire.message, { cause });
    this.wire = { code: wire.code, message: wire.message, type: wire.type };
    this.passing = passing;
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * @param {unknown} error thrown by the admission
 * @returns {unknown}
 */
export function refusal(error) {
  if (!(error instanceof HttpError)) return error;
  const { wireCode: code, message, type, status, headers } = error;
  const seconds = Number(headers?.['Retry-After']);
  // Without `Retry-After` a retry cannot succeed: the request alone exceeds the limit.
  const passing = PASSING.has(status) && code !== 'draining' && seconds > 0;
  return new ChildJobError(
    { code, message, type },
    { passing, retryable: passing, retryAfterMs: seconds * 1000 || undefined, cause: error },
  );
}

/**
 * @param {{error?: {code: string, message: string, type: string}}} state of a job that failed
 * @param {import('../../jobs/execution/failure.js').Failure} [failure] of its provider; undefined if
 *   it had another cause
 */
function failureOf({ error }, failure) {
  const wire = error ?? { code: 'cancelled', message: 'It was cancelled.', type: 'server_error' };
  return new ChildJobError(wire, {
    passing: failure?.retryable === true,
    retryable: failure?.retryable !== false,
    retryAfterMs: failure?.retryAfterMs,
    cause: failure?.logged,
  });
}

/**
 * @param {any} state with the text
 * @returns {string}
 */
function documentOf({ text = '', tool_calls: calls = [] }) {
  return text === '' && calls.length > 0 ? JSON.stringify(calls) : text;
}

/**
 * Runs the jobs of workflows. A child job goes through admission, queue and batches like any other
 * job; its tokens also go to the workflow's log, and no list or GET shows it. It is purged once its
 * result is taken. Main thread.
 */
export class ChildJobs {
  #admission;
  #hub;
  #lifecycle;
  /** @type {Map<Part, (state: JobState) => void>} child jobs that have not ended */
  #running = new Map();

  /**
   * @param {object} deps
   * @param {import('../../jobs/admission/admission.js').Admission} deps.admission
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {import('../../jobs/execution/lifecycle.js').JobLifecycle} deps.lifecycle
   */
  constructor({ admission, hub, lifecycle }) {
    this.#admission = admission;
    this.#hub = hub;
    this.#lifecycle = lifecycle;
    lifecycle.on('ended', ({ part }, state) => {
      if (part !== undefined) this.#running.get(part)?.(state);
    });
  }

  /**
   * @param {object} request the fields of `POST /v1/jobs`
   * @param {object} options
   * @param {import('../../jobs/admission/types.js').Submission['access']} options.access
   * @param {import('../../streams/types.js').CopyTarget} options.copyTo
   * @param {AbortSignal} options.signal
   * @param {import('../../jobs/rate-limits/reservations.js').WorkReservation} options.reservation
   *   of its operation
   * @returns {Promise<ChildResult>}
   * @throws {ChildJobError} if it was refused or failed
   * @throws the signal's reason, once its job has been ended
   */
  async run(request, { access, copyTo, signal, reservation }) {
    if (signal.aborted) throw abortReason(signal);
    const covered = reservation.lend();
    let admitted = false;
    /** @type {Part} */
    const part = { copyTo };
    /** @type {Promise<JobState>} */
    const ending = new Promise((resolve) => this.#running.set(part, resolve));
    try {
      const record = await this.#submit(request, { access, signal, part, covered });
      admitted = true;
      const cancel = () => this.#lifecycle.cancel(record, 'client_request');
      if (signal.aborted) cancel();
      const release = signal.aborted ? undefined : whenAborted(signal, cancel);
      const state = await ending;
      release?.();
      // A client that reads the ending of the workflow finds its jobs charged.
      await record.settling;
      try {
        if (signal.aborted) throw abortReason(signal);
        return await this.#result(record, state);
      } finally {
        this.#lifecycle.forget(record);
      }
    } finally {
      this.#running.delete(part);
      covered.giveBack(admitted);
    }
  }

  /**
   * @param {object} request
   * @param {import('../../jobs/admission/types.js').ChildSubmission} submission
   */
  async #submit(request, submission) {
    try {
      return await this.#admission.submitChild(request, submission);
    } catch (error) {
      throw refusal(error);
    }
  }

  /**
   * @param {import('../../jobs/job.js').JobRecord} record
   * @param {any} state
   * @returns {Promise<ChildResult>}
   */
  async #result(record, state) {
    if (state.status !== 'completed') throw failureOf(state, record.failure);
    const whole = await this.#hub.snapshot(record.handle);
    if (whole === null || whole.text_truncated) {
      throw new ChildJobError(
        {
          code: 'text_too_long',
          message: 'The text exceeds the size that the gateway keeps per job.',
          type: 'server_error',
        },
        { retryable: false },
      );
    }
    return { text: documentOf(whole), reason: state.reason, usage: state.usage };
  }
}
