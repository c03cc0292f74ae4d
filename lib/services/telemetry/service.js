import { Instruments } from './instruments.js';
import { CallSpans } from './call-spans.js';
import { activeContext, extract, registeredApi, runIn } from './api.js';
import {
  answerAttributes,
  callAttributes,
  modelAttribute,
  operationOf,
  requestAttributes,
} from './gen-ai.js';
import { VERSION, fail, tracerOf } from './spans.js';

/** @typedef {import('./api.js').Api} Api */
/** @typedef {import('@opentelemetry/api').Attributes} Attributes */
/** @typedef {import('@opentelemetry/api').Context} Context */
/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../providers/shared/types.js').Provider} Provider */
/** @typedef {import('./spans.js').Open} Open */

const SERVER_ERROR = 500;

/**
 * Reports spans and metrics to the OpenTelemetry SDK of the application: a span per HTTP call, job, attempt
 * and call of the upstream, by the semantic conventions for HTTP and for generative AI. Does nothing while
 * there is no SDK. Main thread; lives as long as its gateway.
 */
export class Telemetry {
  #api;
  #provider;
  /** Whether `submittedMs` of a job is on the clock of `performance.now()`. */
  #realTime;
  #instruments = new Instruments(VERSION);
  /** @type {WeakMap<JobRecord, Open>} */
  #open = new WeakMap();

  /**
   * @param {object} deps
   * @param {{enabled: boolean, content: boolean}} deps.settings `content`: whether spans have prompts and
   *   answers
   * @param {import('../../streams/hub.js').JobHub} deps.hub
   * @param {Provider} deps.provider
   * @param {import('../../internal/util/logger.js').Logger} deps.log
   * @param {boolean} deps.realTime false: jobs use a ManualClock
   */
  constructor({ settings, hub, provider, log, realTime }) {
    /** @type {() => Api | undefined} */
    this.#api = settings.enabled ? registeredApi(log) : () => undefined;
    this.#provider = provider;
    this.#realTime = realTime;
    /** Interface of traces for the runner and for embeddings. */
    this.calls = new CallSpans({
      ...{ api: this.#api, open: this.#open, content: settings.content, hub, provider },
      instruments: this.#instruments,
    });
  }

  /**
   * @param {import('../../jobs/execution/lifecycle.js').JobLifecycle} lifecycle
   * @param {import('../../jobs/execution/answer-cache.js').AnswerCache} cache
   */
  subscribe(lifecycle, cache) {
    lifecycle.on('queued', (record) => this.#onQueued(record));
    lifecycle.on('attempt', (record) => this.#onAttempt(record));
    lifecycle.on('attemptFailed', (record, { wire }) => this.#endAttempt(record, wire));
    lifecycle.on('ended', (record, state) => this.#onJobEnded(record, state));
    cache.on('ended', (answer) => this.#onAnswerEnded(answer));
  }

  // ---------------------------------------------------------------- HTTP

  /**
   * Answers a request within a span, which ends with the answer.
   * @param {import('node:http').IncomingMessage} req
   * @param {import('node:http').ServerResponse} res
   * @param {string} route
   * @param {() => void} answer
   */
  onRequest(req, res, route, answer) {
    const api = this.#api();
    if (api === undefined) {
      answer();
      return;
    }
    const active = api.context.active();
    const hasParent = api.trace.getSpan(active) !== undefined;
    const parent = hasParent ? active : extract(api, active, req.headers);
    const { method = 'GET', url = '/', socket, httpVersion } = req;
    const attributes = {
      'http.request.method': method,
      'http.route': route,
      'url.path': url.split('?', 1)[0],
      'url.scheme': /** @type {any} */ (socket)?.encrypted === true ? 'https' : 'http',
      'network.protocol.version': httpVersion,
    };
    const { SERVER, INTERNAL } = api.SpanKind;
    // An instrumentation of node:http has reported the call itself.
    const kind = hasParent ? INTERNAL : SERVER;
    const span = tracerOf(api).startSpan(`${method} ${route}`, { kind, attributes }, parent);
    res.once('close', () => {
      if (res.headersSent) {
        span.setAttribute('http.response.status_code', res.statusCode);
        if (res.statusCode >= SERVER_ERROR) fail(api, span, String(res.statusCode));
      }
      span.end();
    });
    runIn(api, api.trace.setSpan(parent, span), answer);
  }

  // ---------------------------------------------------------------- jobs

  /** @returns {unknown} the context of the current request, for `JobRecord.trace`; undefined: no telemetry */
  context() {
    const api = this.#api();
    return api && activeContext(api);
  }

  /** @param {JobRecord} record */
  #onQueued(record) {
    const api = this.#api();
    if (api === undefined) return;
    const { id, model, submittedMs, cache, part } = record;
    const parent = /** @type {Context | undefined} */ (record.trace) ?? api.ROOT_CONTEXT;
    const attributes = {
      'sluice.job.id': id,
      ...(cache !== undefined && { 'sluice.job.cache': cache }),
      ...(part !== undefined && { 'sluice.job.child': true }),
      'gen_ai.operation.name': operationOf(this.#provider),
      ...modelAttribute(model),
      ...requestAttributes(record),
    };
    const isKnown = this.#realTime && submittedMs !== undefined;
    const startTime = isKnown ? performance.timeOrigin + submittedMs : undefined;
    const span = tracerOf(api).startSpan('sluice.job', { attributes, startTime }, parent);
    this.#open.set(record, { job: span, parent: api.trace.setSpan(parent, span) });
  }

  /** @param {JobRecord} record a job, or the answer that several jobs share */
  #onAttempt(record) {
    const api = this.#api();
    if (api === undefined) return;
    const [first] = record.jobs;
    const open = this.#open.get(record) ?? this.#open.get(first);
    if (open === undefined) return;
    const { attempts, ownUpstream } = record;
    const attributes = {
      'sluice.attempt': attempts,
      ...(ownUpstream !== undefined && { 'sluice.upstream': ownUpstream }),
    };
    const { parent } = open;
    const attempt = tracerOf(api).startSpan('sluice.attempt', { attributes }, parent);
    this.#open.set(record, { ...this.#open.get(record), parent, attempt });
  }

  /**
   * @param {JobRecord} record
   * @param {{code: string, message: string}} [error]
   */
  #endAttempt(record, error) {
    const api = this.#api();
    const open = this.#open.get(record);
    if (api === undefined || open?.attempt === undefined) return;
    if (error !== undefined) fail(api, open.attempt, error.code, error.message);
    open.attempt.end();
    open.attempt = undefined;
  }

  /**
   * @param {JobRecord} record
   * @param {any} state
   */
  #onJobEnded(record, state) {
    const api = this.#api();
    if (api === undefined) return;
    const { status, reason, error } = state;
    this.#endAttempt(record, error);
    this.#recordServer(api, record, state);
    if (record.answer === undefined) this.#recordTokens(api, record, state);
    const job = this.#open.get(record)?.job;
    if (job === undefined) return;
    job.setAttributes({ 'sluice.job.status': status, ...answerAttributes(state) });
    if (reason !== undefined) job.setAttribute('sluice.job.reason', reason);
    if (error !== undefined) fail(api, job, error.code, error.message);
    job.end();
  }

  /** @param {JobRecord} answer that several jobs have shared */
  #onAnswerEnded(answer) {
    const api = this.#api();
    const { final } = answer;
    if (api === undefined || final === undefined) return;
    this.#endAttempt(answer, final.error);
    this.#recordTokens(api, answer, final);
  }

  /**
   * @param {Api} api
   * @param {JobRecord} record
   * @param {any} state
   */
  #recordServer(api, record, { status, error, metrics }) {
    const { ttft_ms: ttftMs, duration_ms: durationMs, tokens } = metrics;
    const shared = this.#attributesOf(record);
    const instruments = this.#instruments;
    const all = { ...shared, ...(error !== undefined && { 'error.type': error.code }) };
    instruments.record(api, 'gen_ai.server.request.duration', durationMs / 1000, all);
    if (status !== 'completed' || typeof ttftMs !== 'number') return;
    instruments.record(api, 'gen_ai.server.time_to_first_token', ttftMs / 1000, shared);
    if (tokens < 2) return;
    const perToken = (durationMs - ttftMs) / (tokens - 1) / 1000;
    instruments.record(api, 'gen_ai.server.time_per_output_token', perToken, shared);
  }

  /**
   * @param {Api} api
   * @param {JobRecord} record that has called the provider itself
   * @param {any} state
   */
  #recordTokens(api, record, { usage }) {
    if (record.attempts === 0) return;
    const shared = this.#attributesOf(record);
    const counts = { input: usage.prompt_tokens, output: usage.completion_tokens };
    for (const [type, count] of Object.entries(counts)) {
      const attributes = { ...shared, 'gen_ai.token.type': type };
      this.#instruments.record(api, 'gen_ai.client.token.usage', count, attributes);
    }
  }

  /**
   * @param {JobRecord} record @returns {Attributes} attributes of its last call, or of the call that it would have
   *   made
   */
  #attributesOf(record) {
    const { call } = this.#open.get(record.answer ?? record) ?? {};
    if (call !== undefined) return call;
    const { model } = record;
    const operation = operationOf(this.#provider);
    return callAttributes({ operation, provider: this.#provider.name, model });
  }
}
