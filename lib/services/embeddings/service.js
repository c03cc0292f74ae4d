import { setTimeout as wait } from 'node:timers/promises';
import { EmbeddingGatherer } from './gatherer.js';
import { HttpError } from '../../internal/util/http-error.js';
import { JobRecord } from '../../jobs/job.js';
import { RetryPolicy } from '../../primitives/scheduling/retry-policy.js';
import { chooseModel } from '../../jobs/admission/model-selection.js';
import { draining } from '../../jobs/errors.js';
import { encoded } from './vectors.js';
import { endpoints } from '../../jobs/policy/config.js';
import { estimatePromptTokens } from '../../jobs/prompt-tokens.js';
import { readEmbeddingRequest } from './request.js';

/** @typedef {import('../../providers/shared/types.js').EmbeddingCall} EmbeddingCall */

/**
 * Answers requests for embeddings: reserves limits and credit for each, and makes the calls of the
 * upstream for several requests together. Main thread.
 */
export class Embeddings {
  #provider;
  #reservations;
  #billing;
  #memory;
  #ready;
  #onCall;
  #retry;
  #gatherer;

  /**
   * @param {object} deps
   * @param {import('../../jobs/settings.js').Settings} deps.options
   * @param {Pick<import('../../jobs/rate-limits/reservations.js').Reservations, 'forCall'>} deps.reservations
   * @param {Pick<import('../billing/service.js').Billing, 'calls'>} deps.billing
   * @param {import('../../internal/util/memory-budget.js').MemoryBudget} deps.memory
   * @param {() => boolean} deps.ready false once the gateway drains
   * @param {() => import('../../providers/shared/types.js').OnCall | undefined} [deps.onCall] reports calls to
   *   traces; default: none
   */
  constructor({ options, reservations, billing, memory, ready, onCall }) {
    this.#provider = options.provider;
    this.#reservations = reservations;
    this.#billing = billing;
    this.#memory = memory;
    this.#ready = ready;
    this.#onCall = onCall;
    this.#retry = new RetryPolicy(options.retry);
    this.#gatherer = new EmbeddingGatherer(
      (call, signal) => this.#call(call, signal),
      options.embeddings,
    );
  }

  /** Calls of the upstream, and requests and inputs that they answered. */
  get stats() {
    return this.#gatherer.stats;
  }

  /**
   * @param {unknown} body of `POST /v1/embeddings`
   * @param {object} options
   * @param {Readonly<import('../../jobs/policy/config.js').Access>} options.access of the caller
   * @param {AbortSignal} options.signal aborted when the caller disconnects
   * @returns {Promise<{answer: object, entries:
   *   import('../../primitives/limiters/quota.js').QuotaEntry[]}>} the body of the answer; amounts
   *   reserved and remaining
   * @throws {HttpError}; a `ProviderError` when the upstream failed
   */
  async create(body, { access, signal }) {
    const { model: asked, inputs, user, encoding, passed } = readEmbeddingRequest(body);
    if (!this.#ready()) throw draining();
    this.#memory.check('jobs', access.principal);
    const model = chooseModel(this.#provider, access, asked);
    if (this.#provider.embed === undefined) {
      const message = `The provider ${this.#provider.name} makes no embeddings.`;
      throw new HttpError(400, { code: 'unsupported_feature', param: 'input', message });
    }
    // Not a job, but charged like one: a prompt without an answer.
    const request = { ...asRequest(inputs), max_tokens: 0 };
    const record = new JobRecord({
      principal: access.principal,
      model,
      request,
      createdAtMs: Date.now(),
    });
    const subject = { access, model, endpoint: endpoints.embeddings };
    record.reservation = await this.#reservations.forCall(request, subject);
    let answer;
    try {
      signal.throwIfAborted();
      await this.#billing.calls.hold(record, request, access);
      answer = await this.#gatherer.embed({ model, inputs, user, body: passed }, signal);
    } catch (error) {
      await this.#billing.calls.release(record);
      await record.reservation?.release();
      throw error;
    }
    await this.#settle(record, answer.promptTokens);
    const data = answer.embeddings.map((vector, index) => {
      return { object: 'embedding', index, embedding: encoded(vector, encoding) };
    });
    const usage = { prompt_tokens: answer.promptTokens, total_tokens: answer.promptTokens };
    return {
      answer: { object: 'list', data, model: answer.model ?? model, usage },
      entries: record.reservation?.entries ?? [],
    };
  }

  /** @param {JobRecord} record @param {number} tokens used */
  async #settle(record, tokens) {
    record.attempts = 1;
    record.final = {
      status: 'completed',
      usage: { prompt_tokens: tokens, completion_tokens: 0 },
    };
    await this.#billing.calls.settle(record);
    await record.reservation?.settle(tokens);
  }

  /**
   * @param {EmbeddingCall} call
   * @param {AbortSignal} signal
   */
  async #call(call, signal) {
    /** @type {any} */
    const provider = this.#provider;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const answer = await provider.embed(call, { signal, onCall: this.#onCall?.() });
        const estimated = estimatePromptTokens(asRequest(call.inputs));
        return { ...answer, promptTokens: answer.promptTokens ?? estimated };
      } catch (error) {
        if (signal.aborted || !this.#retry.allows(attempt, error)) throw error;
        await wait(this.#retry.delayMs(attempt, [error]), undefined, { signal });
      }
    }
  }
}

/** @param {readonly import('./gatherer.js').EmbeddingInput[]} inputs */
function asRequest(inputs) {
  const texts = inputs.filter((each) => typeof each === 'string');
  const tokens = inputs.filter((each) => typeof each !== 'string').flat();
  return { prompt: texts.join(''), prompt_ids: tokens };
}
