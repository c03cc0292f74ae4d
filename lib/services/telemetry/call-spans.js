import { activeContext, inject, runIn } from './api.js';
import {
  answerAttributes,
  callAttributes,
  inputContent,
  operationOf,
  outputContent,
  requestAttributes,
} from './gen-ai.js';
import { fail, tracerOf } from './spans.js';

/** @typedef {import('./api.js').Api} Api */
/** @typedef {import('@opentelemetry/api').Attributes} Attributes */
/** @typedef {import('@opentelemetry/api').Context} Context */
/** @typedef {import('@opentelemetry/api').Span} Span */
/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../providers/shared/types.js').Provider} Provider */
/** @typedef {import('../../providers/shared/types.js').CallReport} CallReport */
/** @typedef {import('../../jobs/execution/runner.js').CallSpan} CallSpan */
/** @typedef {import('./spans.js').Open} Open */

/** Spans and durations of upstream calls. Main thread. */
export class CallSpans {
  #api;
  #open;
  #content;
  #hub;
  #provider;
  #instruments;

  /**
   * @param {object} deps
   * @param {() => Api | undefined} deps.api undefined: no telemetry
   * @param {WeakMap<JobRecord, Open>} deps.open
   * @param {boolean} deps.content whether spans have prompts and answers
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {Provider} deps.provider of the gateway
   * @param {import('./instruments.js').Instruments} deps.instruments
   */
  constructor({ api, open, content, hub, provider, instruments }) {
    this.#api = api;
    this.#open = open;
    this.#content = content;
    this.#hub = hub;
    this.#provider = provider;
    this.#instruments = instruments;
  }

  /**
   * Begins the call of a provider that does not report its calls itself.
   * @param {JobRecord[]} records
   * @param {Provider} provider
   * @param {string} model
   * @returns {CallSpan | undefined} undefined: no telemetry
   */
  begin(records, provider, model) {
    const api = this.#api();
    if (api === undefined) return undefined;
    const call = this.#startCall(api, records, { provider, model });
    return { run: (run) => runIn(api, call.context, run), end: call.end };
  }

  /**
   * @param {JobRecord[]} records of the requests, in their order
   * @param {Provider} provider
   * @returns {import('../../providers/shared/types.js').OnCall | undefined} undefined: no telemetry
   */
  observe(records, provider) {
    const api = this.#api();
    if (api === undefined) return undefined;
    return (indexes, { url, model }) => {
      const own = indexes.map((index) => records[index]);
      const { context, end } = this.#startCall(api, own, { provider, model, url });
      return { headers: inject(api, context), end };
    };
  }

  /**
   * Reports calls for embeddings, which belong to no job.
   * @returns {import('../../providers/shared/types.js').OnCall | undefined} undefined: no telemetry
   */
  observeEmbeddings() {
    const api = this.#api();
    if (api === undefined) return undefined;
    return (_indexes, { url, model, provider = this.#provider.name }) => {
      const shared = callAttributes({ operation: 'embeddings', provider, model, url });
      const span = this.#startSpan(api, shared, activeContext(api), []);
      const end = this.#timed(api, span, shared);
      const context = api.trace.setSpan(activeContext(api), span);
      return {
        headers: inject(api, context),
        end: (error, usage) => {
          const finish = end(error);
          if (usage !== undefined) {
            const { prompt_tokens: count } = usage;
            span.setAttribute('gen_ai.usage.input_tokens', count);
            const attributes = { ...shared, 'gen_ai.token.type': 'input' };
            this.#instruments.record(api, 'gen_ai.client.token.usage', count, attributes);
          }
          finish();
        },
      };
    };
  }

  /**
   * @param {Api} api
   * @param {JobRecord[]} records at least one
   * @param {{provider: Provider, model: string, url?: string}} call
   * @returns {{context: Context, end: CallReport['end']}}
   */
  #startCall(api, records, { provider, model, url }) {
    const operation = operationOf(provider);
    const shared = callAttributes({ operation, provider: provider.name, model, url });
    const [first] = records;
    const attempts = records.map((record) => {
      const open = this.#open.get(record);
      if (open !== undefined) open.call = shared;
      return open?.attempt;
    });
    const { parent = api.ROOT_CONTEXT } = this.#open.get(first) ?? {};
    const [attempt, ...others] = attempts;
    const context = attempt === undefined ? parent : api.trace.setSpan(parent, attempt);
    // The call of a batch is a part of each of its jobs.
    const links = others.flatMap((span) => (span ? [{ context: span.spanContext() }] : []));
    const attributes = {
      ...{ ...shared, ...requestAttributes(first) },
      ...(url !== undefined && { 'gen_ai.request.stream': true }),
      ...(this.#content && inputContent(first.request)),
    };
    const span = this.#startSpan(api, attributes, context, links);
    const end = this.#timed(api, span, shared);
    return {
      context: api.trace.setSpan(context, span),
      end: (error) => {
        const finish = end(error);
        void this.#complete(span, first).then(finish, finish);
      },
    };
  }

  /**
   * @param {Api} api
   * @param {Attributes} attributes
   * @param {Context} context
   * @param {import('@opentelemetry/api').Link[]} links
   */
  #startSpan(api, attributes, context, links) {
    const { CLIENT, INTERNAL } = api.SpanKind;
    const kind = attributes['server.address'] === undefined ? INTERNAL : CLIENT;
    const { 'gen_ai.operation.name': operation, 'gen_ai.request.model': model } = attributes;
    const name = [operation, model].filter(Boolean).join(' ');
    return tracerOf(api).startSpan(name, { kind, attributes, links }, context);
  }

  /**
   * @param {Api} api
   * @param {Span} span of a call
   * @param {Attributes} attributes
   * @returns {(error: any) => () => void} called with the time of the end; the returned function ends the span with
   *   it
   */
  #timed(api, span, attributes) {
    const startedMs = performance.now();
    return (error) => {
      const endedMs = performance.now();
      const code =
        error === undefined ? undefined : String(error.wireCode ?? error.code ?? 'error');
      if (code !== undefined) fail(api, span, code, error.message);
      const all = { ...attributes, ...(code !== undefined && { 'error.type': code }) };
      const seconds = (endedMs - startedMs) / 1000;
      this.#instruments.record(api, 'gen_ai.client.operation.duration', seconds, all);
      return () => span.end(performance.timeOrigin + endedMs);
    };
  }

  /**
   * Adds the answer to the span of a call, once the end of its job has been dispatched.
   * @param {Span} span
   * @param {JobRecord} record
   */
  async #complete(span, record) {
    await this.#hub.barrier();
    const { final, handle, attemptOffsetMs } = record;
    if (final === undefined) return;
    span.setAttributes(answerAttributes(final));
    const { ttft_ms: ttftMs, queue_ms: queueMs } = final.metrics;
    if (typeof ttftMs === 'number' && typeof queueMs === 'number') {
      const seconds = Math.max(0, ttftMs - queueMs - attemptOffsetMs) / 1000;
      span.setAttribute('gen_ai.response.time_to_first_chunk', seconds);
    }
    if (!this.#content) return;
    const state = await this.#hub.snapshot(handle, { text: true });
    if (state !== null) span.setAttributes(outputContent(state));
  }
}
