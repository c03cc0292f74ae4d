import { createRequire } from 'node:module';
import { AnswerCounts } from './answer-counts.js';
import {
  LATENCY_BUCKETS,
  addAuditMetrics,
  addMemoryMetrics,
  addStoreMetrics,
  addUpstreamMetrics,
  addWebhookMetrics,
} from './metric-groups.js';
import { droppedLogLines } from '../internal/util/logger.js';
import { promClient } from '../internal/util/packages.js';

export const { version: VERSION } = createRequire(import.meta.url)('../../package.json');

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

/**
 * Metrics of a gateway, in a separate Prometheus registry, so that several gateways in one
 * process do not mix.
 */
export class GatewayMetrics {
  /**
   * @param {object} options
   * @param {boolean} options.processDefaults
   * @param {() => {queued: number, inFlightBatches: number, openStreams: number,
   *   cached: {entries: number, bytes: number}, leases: number, held: number, durableStreams: number,
   *   retriesRefused: number, memory: import('../internal/util/memory-budget.js').MemoryBudget,
   *   webhooks: {pending: number, failed: number}, store?: import('./metric-groups.js').StoreFigures}}
   *   options.stats called at each scrape
   * @param {boolean} options.durable whether there is a `store`
   * @param {() => import('../providers/shared/types.js').UpstreamFigures[]} [options.upstreams] of a
   *   provider with several; called at each scrape
   */
  constructor({ processDefaults, stats, durable, upstreams }) {
    const { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } = promClient();
    const registry = new Registry();
    const registers = [registry];
    this.registry = registry;
    this.jobs = new Counter({
      name: 'sluice_jobs_total',
      help: 'Jobs that have ended, by terminal status.',
      labelNames: ['status'],
      registers,
    });
    for (const status of ['completed', 'failed', 'cancelled']) this.jobs.inc({ status }, 0);
    this.rejected = new Counter({
      name: 'sluice_jobs_rejected_total',
      help: 'Valid submissions that were not admitted, by error code.',
      labelNames: ['code'],
      registers,
    });
    for (const code of REFUSALS) this.rejected.inc({ code }, 0);
    this.rateLimited = new Counter({
      name: 'sluice_rate_limited_total',
      help: 'Refusals by limits, by scope and limit; a refusal by several limits counts once for each.',
      labelNames: ['scope', 'limit'],
      registers,
    });
    new Gauge({
      name: 'sluice_quota_leases',
      help: 'Reservations of jobs and shared answers that have not ended.',
      registers,
      collect() {
        this.set(stats().leases);
      },
    });
    new Gauge({
      name: 'sluice_credit_holds',
      help: 'Jobs and shared answers that hold credit and have not ended.',
      registers,
      collect() {
        this.set(stats().held);
      },
    });
    this.creditsCharged = new Counter({
      name: 'sluice_credits_charged_total',
      help: 'Micro-credits charged for jobs.',
      registers,
    });
    this.creditsUncollected = new Counter({
      name: 'sluice_credits_uncollected_total',
      help: 'Micro-credits of cost that neither the hold nor the account of a job could cover.',
      registers,
    });
    this.retries = new Counter({
      name: 'sluice_job_retries_total',
      help: 'Attempts beyond the first.',
      registers,
    });
    new Counter({
      name: 'sluice_retries_refused_total',
      help: 'Retries refused because the retry budget of the upstream was used up.',
      registers,
      collect() {
        this.reset();
        this.inc(stats().retriesRefused);
      },
    });
    this.operations = new Counter({
      name: 'sluice_works_total',
      help: 'Attempts of workflows and crawls that have ended, by kind and terminal status.',
      labelNames: ['kind', 'status'],
      registers,
    });
    this.tokens = new Counter({
      name: 'sluice_tokens_total',
      help: 'Tokens of jobs that have ended.',
      registers,
    });
    this.queueSeconds = new Histogram({
      name: 'sluice_job_queue_seconds',
      help: 'From admission to the first dispatch.',
      buckets: LATENCY_BUCKETS,
      registers,
    });
    this.ttftSeconds = new Histogram({
      name: 'sluice_job_ttft_seconds',
      help: 'From admission to the first token.',
      buckets: LATENCY_BUCKETS,
      registers,
    });
    this.durationSeconds = new Histogram({
      name: 'sluice_job_duration_seconds',
      help: 'From admission to the terminal event.',
      buckets: DURATION_BUCKETS,
      registers,
    });
    this.overheadSeconds = new Histogram({
      name: 'sluice_job_overhead_seconds',
      help: 'From submission to the terminal event, without the time in which a call of the provider was open.',
      buckets: OVERHEAD_BUCKETS,
      registers,
    });
    this.outputTokenSeconds = new Histogram({
      name: 'sluice_job_output_token_seconds',
      help: 'Mean time between two tokens of a completed job, after the first one.',
      buckets: TOKEN_BUCKETS,
      registers,
    });
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
    this.cacheLookups = new Counter({
      name: 'sluice_cache_lookups_total',
      help: 'Jobs whose answer may be shared, by its source: `hit` finished, `join` running, `miss` new.',
      labelNames: ['result'],
      registers,
    });
    for (const result of ['hit', 'join', 'miss']) this.cacheLookups.inc({ result }, 0);
    new Gauge({
      name: 'sluice_cache_entries',
      help: 'Finished answers kept for sharing.',
      registers,
      collect() {
        this.set(stats().cached.entries);
      },
    });
    new Gauge({
      name: 'sluice_cache_bytes',
      help: 'Bytes of the finished answers kept.',
      registers,
      collect() {
        this.set(stats().cached.bytes);
      },
    });
    new Gauge({
      name: 'sluice_open_streams',
      help: 'Event streams open over HTTP.',
      registers,
      collect() {
        this.set(stats().openStreams);
      },
    });
    this.refusedConnections = new Counter({
      name: 'sluice_connections_refused_total',
      help: 'Connections closed at once, by the limit reached: of all connections or of one address.',
      labelNames: ['limit'],
      registers,
    });
    for (const limit of ['all', 'address']) this.refusedConnections.inc({ limit }, 0);
    new Gauge({
      name: 'sluice_build_info',
      help: 'Always 1, with the version of the package.',
      labelNames: ['version'],
      registers,
    }).set({ version: VERSION }, 1);
    new Gauge({
      name: 'sluice_in_flight_batches',
      help: 'Batches in the provider.',
      registers,
      collect() {
        this.set(stats().inFlightBatches);
      },
    });
    new Gauge({
      name: 'sluice_queued_requests',
      help: 'Requests admitted and not yet dispatched.',
      registers,
      collect() {
        this.set(stats().queued);
      },
    });
    new Gauge({
      name: 'sluice_durable_streams',
      help: 'Durable streams, including deleted ones kept for their forks.',
      registers,
      collect() {
        this.set(stats().durableStreams);
      },
    });
    new Counter({
      name: 'sluice_log_lines_dropped_total',
      help: 'Log lines of the process that were dropped because the reader of stderr fell behind.',
      registers,
      collect() {
        this.reset();
        this.inc(droppedLogLines());
      },
    });
    /** From the start of a call to its first entry; for a provider with several upstreams. */
    this.upstreamTtftSeconds =
      upstreams === undefined ? undefined : addUpstreamMetrics(registers, upstreams);
    const audit = addAuditMetrics(registers);
    this.auditEntries = audit.entries;
    this.auditDropped = audit.dropped;
    this.webhookDeliveries = addWebhookMetrics(registers, () => stats().webhooks);
    addMemoryMetrics(registers, () => stats().memory);
    if (durable) {
      addStoreMetrics(
        registers,
        () => /** @type {import('./metric-groups.js').StoreFigures} */ (stats().store),
      );
    }
    if (processDefaults) collectDefaultMetrics({ register: registry });
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
