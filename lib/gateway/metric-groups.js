/** Metrics counted by the parts of the gateway, read at each scrape. */
import { promClient } from '../internal/util/packages.js';

export const LATENCY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/**
 * @param {import('prom-client').Registry[]} registers
 * @param {() => import('../providers/shared/types.js').UpstreamFigures[]} figures
 * @returns {import('prom-client').Histogram<'upstream'>} of the time to the first entry
 */
export function addUpstreamMetrics(registers, figures) {
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
    help: 'Calls of each upstream that failed, by error code.',
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
    help: 'Running calls of each upstream.',
    labelNames: ['upstream'],
    registers,
    collect() {
      for (const { name: upstream, inFlight } of figures()) this.set({ upstream }, inFlight);
    },
  });
  new Gauge({
    name: 'sluice_upstream_circuit_open',
    help: '1 while an upstream gets no new calls after failures, else 0.',
    labelNames: ['upstream'],
    registers,
    collect() {
      for (const { name: upstream, open } of figures()) this.set({ upstream }, open ? 1 : 0);
    },
  });
  return new Histogram({
    name: 'sluice_upstream_first_entry_seconds',
    help: 'From the start of a call of an upstream to its first entry.',
    labelNames: ['upstream'],
    buckets: LATENCY_BUCKETS,
    registers,
  });
}

/** Results of attempts at webhooks; the last two kinds have no further attempt. */
const WEBHOOK_RESULTS = ['delivered', 'retried', 'failed', 'dropped'];

/**
 * @param {import('prom-client').Registry[]} registers
 * @param {() => {pending: number, failed: number}} figures
 * @returns {import('prom-client').Counter<'result'>}
 */
export function addWebhookMetrics(registers, figures) {
  const { Counter, Gauge } = promClient();
  new Gauge({
    name: 'sluice_webhooks_pending',
    help: 'Webhooks that are not delivered yet.',
    registers,
    collect() {
      this.set(figures().pending);
    },
  });
  new Gauge({
    name: 'sluice_webhooks_failed',
    help: 'Webhooks that were given up and can be replayed.',
    registers,
    collect() {
      this.set(figures().failed);
    },
  });
  const deliveries = new Counter({
    name: 'sluice_webhook_deliveries_total',
    help: 'Webhook attempts by result: `delivered`, `retried` later, `failed` permanently, `dropped` for lack of room.',
    labelNames: ['result'],
    registers,
  });
  for (const result of WEBHOOK_RESULTS) deliveries.inc({ result }, 0);
  return deliveries;
}

/** @param {import('prom-client').Registry[]} registers */
export function addAuditMetrics(registers) {
  const { Counter } = promClient();
  const entries = new Counter({
    name: 'sluice_audit_entries_total',
    help: 'Entries of the audit log, by action and outcome.',
    labelNames: ['action', 'outcome'],
    registers,
  });
  const dropped = new Counter({
    name: 'sluice_audit_dropped_total',
    help: 'Entries dropped from a full audit log (audit.maxEntries).',
    registers,
  });
  return { entries, dropped };
}

/**
 * @param {import('prom-client').Registry[]} registers
 * @param {() => import('../internal/util/memory-budget.js').MemoryBudget} memory
 */
export function addMemoryMetrics(registers, memory) {
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
    help: 'Requests refused because the memory budget was used up, by resource.',
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
export function addStoreMetrics(registers, figures) {
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
    help: 'Groups of changes in the transactions of the data file.',
    registers,
    collect() {
      this.reset();
      this.inc(figures().batches);
    },
  });
  new Gauge({
    name: 'sluice_store_queued',
    help: 'Changes that wait for the next transaction of the data file.',
    registers,
    collect() {
      this.set(figures().queued);
    },
  });
  new Gauge({
    name: 'sluice_store_state',
    help: 'Result of the last transaction of the data file: 1 for the current state, 0 for the others.',
    labelNames: ['state'],
    registers,
    collect() {
      const { state: now } = figures();
      for (const state of STORE_STATES) this.set({ state }, state === now ? 1 : 0);
    },
  });
}
