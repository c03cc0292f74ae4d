import { createRequire } from 'node:module';
import { AnswerCounts } from './answer-counts.js';
import { defaultMetrics, promClient } from '../internal/util/packages.js';

export const { version: VERSION } = createRequire(import.meta.url)('../../package.json');

const LATENCY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const OVERHEAD_BUCKETS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];
const TOKEN_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5,
];
const DURATION_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

const REFUSALS = [
  'overloaded',
  'draining',
  'rate_limit_exceeded',
  'request_exceeds_limit',
  'insufficient_credit',
  'memory_full',
];

/** Results of attempts at webhooks; the last two kinds have no further attempt. */
const WEBHOOK_RESULTS = ['delivered', 'retried', 'failed', 'dropped'];

/**
 * Metrics of a gateway, in a separate Prometheus registry, so that several gateways in one
 * process do not mix. `addReadings` adds the metrics that the parts count themselves.
 */
export class GatewayMetrics {
  #lacksProcess;

  /**
   * @param {object} options
   * @param {boolean} options.processDefaults
   * @param {boolean} options.hasUpstreams whether the provider has several
   */
  constructor({ processDefaults, hasUpstreams }) {
    const { Counter, Gauge, Histogram, Registry } = promClient();
    const registry = new Registry();
    const registers = [registry];
    /**
     * @param {string} name
     * @param {string} help
     * @param {{[label: string]: readonly string[]}} [labels] with the values that are 0 at first
     */
    const counter = (name, help, labels = {}) => {
      const made = new Counter({ name, help, labelNames: Object.keys(labels), registers });
      for (const [label, values] of Object.entries(labels)) {
        for (const value of values) made.inc({ [label]: value }, 0);
      }
      return made;
    };
    /**
     * @param {string} name
     * @param {string} help
     * @param {number[]} buckets in seconds
     */
    const histogram = (name, help, buckets) => new Histogram({ name, help, buckets, registers });

    this.registry = registry;
    this.jobs = counter('sluice_jobs_total', 'Jobs that have ended, by terminal status.', {
      status: ['completed', 'failed', 'cancelled'],
    });
    this.rejected = counter(
      'sluice_jobs_rejected_total',
      'Valid submissions that were not admitted, by error code.',
      { code: REFUSALS },
    );
    this.rateLimited = counter(
      'sluice_rate_limited_total',
      'Refusals by limits, by scope and limit; a refusal by several limits counts once for each.',
      { scope: [], limit: [] },
    );
    this.creditsCharged = counter(
      'sluice_credits_charged_total',
      'Micro-credits charged for jobs.',
    );
    this.creditsUncollected = counter(
      'sluice_credits_uncollected_total',
      'Micro-credits of cost that neither the hold nor the account of a job could cover.',
    );
    this.retries = counter('sluice_job_retries_total', 'Attempts beyond the first.');
    this.operations = counter(
      'sluice_works_total',
      'Attempts of workflows and crawls that have ended, by kind and terminal status.',
      { kind: [], status: [] },
    );
    this.tokens = counter('sluice_tokens_total', 'Tokens of jobs that have ended.');
    this.queueSeconds = histogram(
      'sluice_job_queue_seconds',
      'From admission to the first dispatch.',
      LATENCY_BUCKETS,
    );
    this.ttftSeconds = histogram(
      'sluice_job_ttft_seconds',
      'From admission to the first token.',
      LATENCY_BUCKETS,
    );
    this.durationSeconds = histogram(
      'sluice_job_duration_seconds',
      'From admission to the terminal event.',
      DURATION_BUCKETS,
    );
    this.overheadSeconds = histogram(
      'sluice_job_overhead_seconds',
      'From submission to the terminal event, without the time in which a call of the provider was open.',
      OVERHEAD_BUCKETS,
    );
    this.outputTokenSeconds = histogram(
      'sluice_job_output_token_seconds',
      'Mean time between two tokens of a completed job, after the first one.',
      TOKEN_BUCKETS,
    );
    const answers = new AnswerCounts();
    this.answers = answers;
    new Counter({
      name: 'sluice_http_responses_total',
      help: 'Answers to HTTP requests, by route and status; of a stream when its head is sent.',
      labelNames: ['route', 'status'],
      registers,
      collect() {
        answers.drain((labels, count) => this.inc(labels, count));
      },
    });
    this.cacheLookups = counter(
      'sluice_cache_lookups_total',
      'Jobs whose answer may be shared, by its source: `hit` finished, `join` running, `miss` new.',
      { result: ['hit', 'join', 'miss'] },
    );
    this.refusedConnections = counter(
      'sluice_connections_refused_total',
      'Connections closed at once, by the limit reached: of all connections or of one address.',
      { limit: ['all', 'address'] },
    );
    new Gauge({
      name: 'sluice_build_info',
      help: 'Always 1, with the version of the package.',
      labelNames: ['version'],
      registers,
    }).set({ version: VERSION }, 1);
    /** From the start of a call to its first entry; for a provider with several upstreams. */
    this.upstreamTtftSeconds = hasUpstreams
      ? new Histogram({
          name: 'sluice_upstream_first_entry_seconds',
          help: 'From the start of a call of an upstream to its first entry.',
          labelNames: ['upstream'],
          buckets: LATENCY_BUCKETS,
          registers,
        })
      : undefined;
    this.auditEntries = counter(
      'sluice_audit_entries_total',
      'Entries of the audit log, by action and outcome.',
      { action: [], outcome: [] },
    );
    this.auditDropped = counter(
      'sluice_audit_dropped_total',
      'Entries dropped from a full audit log (audit.maxEntries).',
    );
    this.webhookDeliveries = counter(
      'sluice_webhook_deliveries_total',
      'Webhook attempts by result: `delivered`, `retried` later, `failed` permanently, `dropped` for lack of room.',
      { result: WEBHOOK_RESULTS },
    );
    this.#lacksProcess = processDefaults;
  }

  /** Adds the metrics of the process, if they are wanted: once, and not before the server listens. */
  addProcess() {
    if (!this.#lacksProcess) return;
    this.#lacksProcess = false;
    defaultMetrics()({ register: this.registry });
  }

  /** @returns {Promise<string>} the exposition of all metrics */
  text() {
    this.addProcess();
    return this.registry.metrics();
  }

  /**
   * @param {any} state the hub's snapshot of a job that has ended
   * @param {number} [overheadMs] undefined: unknown
   */
  observe({ status, metrics }, overheadMs) {
    this.jobs.inc({ status });
    this.tokens.inc(metrics.tokens);
    this.durationSeconds.observe(metrics.duration_ms / 1000);
    // A job that ended in the queue, or before its first token, lacks these durations.
    if (typeof metrics.queue_ms === 'number') this.queueSeconds.observe(metrics.queue_ms / 1000);
    if (typeof metrics.ttft_ms === 'number') this.ttftSeconds.observe(metrics.ttft_ms / 1000);
    if (overheadMs !== undefined) this.overheadSeconds.observe(overheadMs / 1000);
    if (status !== 'completed' || metrics.tokens < 2) return;
    const spanMs = metrics.duration_ms - metrics.ttft_ms;
    this.outputTokenSeconds.observe(spanMs / (metrics.tokens - 1) / 1000);
  }

  /**
   * @param {{upstream?: string, attemptOffsetMs: number}} record that called its provider itself
   * @param {{queue_ms: number, ttft_ms: number | null}} figures of its final state
   */
  observeUpstream({ upstream, attemptOffsetMs }, { queue_ms: queueMs, ttft_ms: ttftMs }) {
    if (upstream === undefined || typeof ttftMs !== 'number') return;
    const ms = Math.max(0, ttftMs - queueMs - attemptOffsetMs);
    this.upstreamTtftSeconds?.observe({ upstream }, ms / 1000);
  }
}
