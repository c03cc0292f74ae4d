import { droppedLogLines } from '../internal/util/logger.js';
import { promClient } from '../internal/util/packages.js';

const LATENCY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
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
 * Metrics of a gateway, in a Prometheus registry of its own, so that several gateways in one
 * process do not mix.
 */
export class GatewayMetrics {
  /**
   * @param {object} options
   * @param {boolean} options.processDefaults
   * @param {() => {queued: number, inFlightBatches: number,
   *   cached: {entries: number, bytes: number}, leases: number, held: number,
   *   retriesRefused: number, memory: import('../internal/util/memory-budget.js').MemoryBudget,
   *   store?: StoreFigures}} options.stats called at each scrape
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
      help: 'Refusals by what refused: one that several limits refused counts for each.',
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
      help: 'What jobs have paid, in micro-credits.',
      registers,
    });
    this.creditsUncollected = new Counter({
      name: 'sluice_credits_uncollected_total',
      help: 'What jobs cost beyond what they held and their accounts had, in micro-credits.',
      registers,
    });
    this.retries = new Counter({
      name: 'sluice_job_retries_total',
      help: 'Attempts beyond the first.',
      registers,
    });
    new Counter({
      name: 'sluice_retries_refused_total',
      help: 'Attempts that were not made because the retry budget of the upstream was used up.',
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
    this.cacheLookups = new Counter({
      name: 'sluice_cache_lookups_total',
      help: 'Jobs whose answer may be shared, by where it came from.',
      labelNames: ['result'],
      registers,
    });
    for (const result of ['hit', 'join', 'miss']) this.cacheLookups.inc({ result }, 0);
    new Gauge({
      name: 'sluice_cache_entries',
      help: 'Finished answers kept.',
      registers,
      collect() {
        this.set(stats().cached.entries);
      },
    });
    new Gauge({
      name: 'sluice_cache_bytes',
      help: 'What they hold.',
      registers,
      collect() {
        this.set(stats().cached.bytes);
      },
    });
    this.openStreams = new Gauge({
      name: 'sluice_open_streams',
      help: 'Event streams open over HTTP.',
      registers,
    });
    this.refusedConnections = new Counter({
      name: 'sluice_connections_refused_total',
      help: 'Connections closed at once, by the limit that they were beyond.',
      labelNames: ['limit'],
      registers,
    });
    for (const limit of ['all', 'address']) this.refusedConnections.inc({ limit }, 0);
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
    new Counter({
      name: 'sluice_log_lines_dropped_total',
      help: 'Log lines of the process that were dropped because the reader of stderr fell behind.',
      registers,
      collect() {
        this.reset();
        this.inc(droppedLogLines());
      },
    });
    /** From the start of a call to its first entry; of a provider with several upstreams. */
    this.upstreamTtftSeconds =
      upstreams === undefined ? undefined : addUpstreamMetrics(registers, upstreams);
    addMemoryMetrics(registers, () => stats().memory);
    if (durable) addStoreMetrics(registers, () => /** @type {StoreFigures} */ (stats().store));
    if (processDefaults) collectDefaultMetrics({ register: registry });
  }

  /** @param {any} state the hub's snapshot of a job that has ended */
  observe({ status, metrics }) {
    this.jobs.inc({ status });
    this.tokens.inc(metrics.tokens);
    this.durationSeconds.observe(metrics.duration_ms / 1000);
    // A job that ended in the queue, or before its first token, lacks these durations.
    if (typeof metrics.queue_ms === 'number') this.queueSeconds.observe(metrics.queue_ms / 1000);
    if (typeof metrics.ttft_ms === 'number') this.ttftSeconds.observe(metrics.ttft_ms / 1000);
  }

  /**
   * @param {{upstream?: string, attemptOffsetMs: number}} record that has called its provider itself
   * @param {{queue_ms: number, ttft_ms: number | null}} figures of its final state
   */
  observeUpstream({ upstream, attemptOffsetMs }, { queue_ms: queueMs, ttft_ms: ttftMs }) {
    if (upstream === undefined || typeof ttftMs !== 'number') return;
    const ms = Math.max(0, ttftMs - queueMs - attemptOffsetMs);
    this.upstreamTtftSeconds?.observe({ upstream }, ms / 1000);
  }
}

/**
 * @param {import('prom-client').Registry[]} registers
 * @param {() => import('../providers/shared/types.js').UpstreamFigures[]} figures
 * @returns {import('prom-client').Histogram<'upstream'>} of the time to the first entry
 */
function addUpstreamMetrics(registers, figures) {
  const { Counter, Gauge, Histogram } = promClient();
  new Counter({
    name: 'sluice_upstream_calls_total',
    help: 'Calls of each upstream.',
    labelNames: ['upstream'],
    registers,
    collect() {
      this.reset();
      for (const { name: upstream, calls } of figures()) this.inc({ upstream }, calls);
    },
  });
  new Counter({
    name: 'sluice_upstream_failures_total',
    help: 'Calls that failed, by error code.',
    labelNames: ['upstream', 'code'],
    registers,
    collect() {
      this.reset();
      for (const { name: upstream, failures } of figures()) {
        for (const [code, count] of failures) this.inc({ upstream, code }, count);
      }
    },
  });
  new Gauge({
    name: 'sluice_upstream_in_flight',
    help: 'Calls that have not ended.',
    labelNames: ['upstream'],
    registers,
    collect() {
      for (const { name: upstream, inFlight } of figures()) this.set({ upstream }, inFlight);
    },
  });
  new Gauge({
    name: 'sluice_upstream_circuit_open',
    help: 'Whether an upstream is closed to new calls after failures: 1 or 0.',
    labelNames: ['upstream'],
    registers,
    collect() {
      for (const { name: upstream, open } of figures()) this.set({ upstream }, open ? 1 : 0);
    },
  });
  return new Histogram({
    name: 'sluice_upstream_first_entry_seconds',
    help: 'From the start of a call to its first entry.',
    labelNames: ['upstream'],
    buckets: LATENCY_BUCKETS,
    registers,
  });
}

/**
 * @param {import('prom-client').Registry[]} registers
 * @param {() => import('../internal/util/memory-budget.js').MemoryBudget} memory
 */
function addMemoryMetrics(registers, memory) {
  const { Counter, Gauge } = promClient();
  new Gauge({
    name: 'sluice_memory_budget_bytes',
    help: 'Content that may be held in memory (memoryBudgetBytes).',
    registers,
    collect() {
      this.set(memory().limitBytes);
    },
  });
  new Gauge({
    name: 'sluice_memory_bytes',
    help: 'Content that is held in memory, by kind.',
    labelNames: ['kind'],
    registers,
    collect() {
      for (const [kind, bytes] of Object.entries(memory().byKind())) this.set({ kind }, bytes);
    },
  });
  new Counter({
    name: 'sluice_memory_refusals_total',
    help: 'Requests refused because the memory budget was used up, by what they asked for.',
    labelNames: ['resource'],
    registers,
    collect() {
      this.reset();
      for (const [resource, n] of Object.entries(memory().refusals)) this.inc({ resource }, n);
    },
  });
  new Counter({
    name: 'sluice_memory_evictions_total',
    help: 'Finished jobs, workflows, crawls and cached answers dropped above 80 % of the budget.',
    registers,
    collect() {
      this.reset();
      this.inc(memory().evictions);
    },
  });
}

/**
 * @typedef {{commits: number, batches: number, queued: number,
 *   state: import('../jobs/storage/sqlite.js').StoreStatus}} StoreFigures
 */

/** States of a data file. */
const STORE_STATES = /** @type {const} */ (['ok', 'full', 'failed', 'corrupt', 'moved', 'closed']);

/**
 * Metrics that exist only with a data file.
 * @param {import('prom-client').Registry[]} registers
 * @param {() => StoreFigures} figures
 */
function addStoreMetrics(registers, figures) {
  const { Counter, Gauge } = promClient();
  new Counter({
    name: 'sluice_store_commits_total',
    help: 'Transactions of the data file.',
    registers,
    collect() {
      this.reset();
      this.inc(figures().commits);
    },
  });
  new Counter({
    name: 'sluice_store_batches_total',
    help: 'Changes that were committed together, each of them whole, in those transactions.',
    registers,
    collect() {
      this.reset();
      this.inc(figures().batches);
    },
  });
  new Gauge({
    name: 'sluice_store_queued',
    help: 'Changes that wait for the next transaction.',
    registers,
    collect() {
      this.set(figures().queued);
    },
  });
  new Gauge({
    name: 'sluice_store_state',
    help: 'How the last transaction went: 1 for the state that the data file is in.',
    labelNames: ['state'],
    registers,
    collect() {
      const { state: now } = figures();
      for (const state of STORE_STATES) this.set({ state }, state === now ? 1 : 0);
    },
  });
}
