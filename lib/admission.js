/**
 * Admission: from a request to a job in the queue, all or nothing. Main thread.
 *
 * Validates, answers known idempotency keys, resolves the model, and waits for room. What is
 * refused leaves nothing behind: no job, and its key is free again.
 */
import { HttpError } from './http-errors.js';
import { IdempotencyCache, checkIdempotencyKey } from './idempotency.js';
import { JobRecord } from './job-table.js';
import { checkJobRequest } from './schema.js';
import { whenAborted } from './abort-listeners.js';
import { kUnnamedModel } from './providers/unnamed-model.js';

/**
 * @typedef {object} Answer what a submission is answered with, and answered again under its key
 * @property {string} id
 * @property {number} createdAt Unix seconds
 */

/**
 * @typedef {object} Submission
 * @property {string} principal whose job it is
 * @property {string} [idempotencyKey]
 * @property {AbortSignal} [signal] gives up waiting for room; ignored with a key, whose outcome
 *   others may be waiting for
 */

/** @returns {HttpError} for whoever comes while, or after, the gateway closes */
export function draining() {
  return new HttpError(503, {
    code: 'draining',
    message: 'The server is shutting down and takes no new jobs.',
    headers: { 'Retry-After': '1' },
  });
}

function overloaded() {
  return new HttpError(503, {
    code: 'overloaded',
    message: 'The queue is full; try again later.',
    headers: { 'Retry-After': '1' },
  });
}

/** See the head of this file. */
export class Admission {
  /** @type {IdempotencyCache<Answer>} */
  #answers;
  #provider;
  #waitMs;
  #pipeline;
  #activate;
  #onRefused;
  #closed = false;

  /**
   * @param {object} parts
   * @param {import('./gateway-options.js').CheckedGatewayOptions} parts.options
   * @param {() => number} parts.nowMs
   * @param {import('./pipeline.js').Pipeline} parts.pipeline
   * @param {(record: JobRecord) => void} parts.activate called when a job has been admitted
   * @param {(wireCode: string) => void} parts.onRefused called for a valid request without a place
   */
  constructor({ options, nowMs, pipeline, activate, onRefused }) {
    this.#answers = new IdempotencyCache({ ...options.idempotency, nowMs });
    this.#provider = options.provider;
    this.#waitMs = options.admissionWaitMs;
    this.#pipeline = pipeline;
    this.#activate = activate;
    this.#onRefused = onRefused;
  }

  /** From now on nothing is admitted; known keys are answered still. */
  close() {
    this.#closed = true;
  }

  /**
   * @param {unknown} body parsed JSON
   * @param {Submission} submission
   * @returns {Promise<{answer: Answer, replayed: boolean}>} `replayed`: the key was known
   * @throws {HttpError}
   */
  async submit(body, { idempotencyKey, principal, signal }) {
    const request = checkJobRequest(body);
    if (idempotencyKey === undefined) {
      return { answer: await this.#admit(request, principal, signal), replayed: false };
    }
    const key = checkIdempotencyKey(idempotencyKey);
    return this.#answers.answer(principal, key, body, () => this.#admit(request, principal));
  }

  /**
   * @param {import('./schema.js').JobRequest} request
   * @param {string} principal
   * @param {AbortSignal} [signal]
   * @returns {Promise<Answer>}
   */
  async #admit(request, principal, signal) {
    const model = this.#modelOf(request);
    const record = new JobRecord({ principal, model, request, createdAtMs: Date.now() });
    try {
      if (this.#closed) throw draining();
      signal?.throwIfAborted();
      await this.#wait(record, signal);
    } catch (error) {
      if (error instanceof HttpError) this.#onRefused(error.wireCode);
      throw error;
    }
    this.#activate(record);
    return { id: record.id, createdAt: Math.floor(record.createdAtMs / 1000) };
  }

  /**
   * Resolves when the record is in the queue.
   * @param {JobRecord} record
   * @param {AbortSignal} [signal]
   */
  async #wait(record, signal) {
    const { abort } = record;
    const timer = setTimeout(() => abort.abort(overloaded()), this.#waitMs);
    const release = whenAborted(signal, () => abort.abort(signal?.reason));
    try {
      await this.#pipeline.submit(record, { signal: abort.signal });
    } catch (/** @type {any} */ error) {
      throw error?.code === 'ERR_PIPELINE_CLOSED' ? draining() : error;
    } finally {
      clearTimeout(timer);
      release();
    }
    // Room came in the same moment as the end of patience, and that was told first. A job that has
    // been dispatched meanwhile exists, whatever has become of it.
    if (record.handle === 0) abort.signal.throwIfAborted();
  }

  /** @param {import('./schema.js').JobRequest} request */
  #modelOf({ model }) {
    const { models, takesAnyModel } = this.#provider;
    if (model === undefined) return models[0]?.id ?? kUnnamedModel;
    if (!takesAnyModel && models.length > 0 && !models.some(({ id }) => id === model)) {
      throw new HttpError(404, {
        code: 'model_not_found',
        param: 'model',
        message: 'No such model; GET /v1/models lists those there are.',
      });
    }
    return model;
  }
}
