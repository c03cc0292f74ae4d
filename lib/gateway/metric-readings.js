/** Metrics that parts of the gateway count themselves: their values are read at each scrape. */
import { droppedLogLines } from '../internal/util/logger.js';
import { promClient } from '../internal/util/packages.js';

/** @typedef {import('prom-client').Registry} Registry */
/** @typedef {Iterable<[labels: Record<string, string>, value: number]>} Rows */
/** @typedef {() => number | Rows | Promise<number | Rows>} Read one value, or one for each set of labels */
/** @typedef {(name: string, help: string, read: Read, labelNames?: string[]) => void} AddReading */

/** States of a data file. */
const STORE_STATES = ['ok', 'full', 'failed', 'corrupt', 'moved', 'closed'];

/** @param {number | Rows} values @returns {Rows} */
const rowsOf = (values) => (typeof values === 'number' ? [[{}, values]] : values);

/**
 * Adds metrics to a registry.
 * @param {Registry} registry
 * @returns {{gauge: AddReading, counter: AddReading}} the value of a `counter` is its total
 */
export function readings(registry) {
  const { Counter, Gauge } = promClient();
  const registers = [registry];
  return {
    gauge(name, help, read, labelNames = []) {
      new Gauge({
        ...{ name, help, labelNames, registers },
        async collect() {
          for (const [labels, value] of rowsOf(await read())) this.set(labels, value);
        },
      });
    },
    counter(name, help, read, labelNames = []) {
      new Counter({
        ...{ name, help, labelNames, registers },
        async collect() {
          const values = await read();
          this.reset();
          for (const [labels, value] of rowsOf(values)) this.inc(labels, value);
        },
      });
    },
  };
}

/**
 * @param {string} label
 * @param {Iterable<[value: string, number: number]>} numbers
 * @returns {Rows}
 */
export const by = (label, numbers) => Array.from(numbers, ([value, n]) => [{ [label]: value }, n]);

/**
 * @param {readonly string[]} states
 * @param {string} now
 * @returns {Rows} 1 for the current state, 0 for the others
 */
export const stateRows = (states, now) =>
  by(
    'state',
    states.map((state) => [state, state === now ? 1 : 0]),
  );

/**
 * @typedef {object} ReadParts
 * @property {() => {queued: number, inFlightBatches: number}} load of the queue
 * @property {() => number} leases reservations that are not settled
 * @property {() => number} holds of credit that are not settled
 * @property {{refused: number}} retryBudgets
 * @property {{stats: {entries: number, bytes: number}}} cache
 * @property {{size: number}} streams open ones
 * @property {{size: number}} durable streams
 * @property {{figures: {pending: number, failed: number}}} webhooks
 * @property {Pick<import('../internal/util/memory-budget.js').MemoryBudget,
 *   'limitBytes' | 'byKind' | 'refusals' | 'evictions'>} memory
 * @property {() => import('../providers/shared/types.js').UpstreamFigures[]} [upstreams] of a provider
 *   with several; default: no metrics of them
 * @property {{figures: {commits: number, batches: number, queued: number, state: string}}} [file] the data
 *   file; default: no metrics of it
 */

/**
 * @param {Registry} registry
 * @param {ReadParts} parts
 */
export function addReadings(registry, parts) {
  const { load, leases, holds, retryBudgets, cache, streams, durable, webhooks, memory } = parts;
  const { gauge, counter } = readings(registry);
  gauge(
    'sluice_quota_leases',
    'Reservations of jobs and shared answers that have not ended.',
    leases,
  );
  gauge(
    'sluice_credit_holds',
    'Jobs and shared answers that hold credit and have not ended.',
    holds,
  );
  counter(
    'sluice_retries_refused_total',
    'Retries refused because the retry budget of the upstream was used up.',
    () => retryBudgets.refused,
  );
  gauge('sluice_cache_entries', 'Finished answers kept for sharing.', () => cache.stats.entries);
  gauge('sluice_cache_bytes', 'Bytes of the finished answers kept.', () => cache.stats.bytes);
  gauge('sluice_open_streams', 'Event streams open over HTTP.', () => streams.size);
  gauge('sluice_in_flight_batches', 'Batches in the provider.', () => load().inFlightBatches);
  gauge('sluice_queued_requests', 'Requests admitted and not yet dispatched.', () => load().queued);
  gauge(
    'sluice_durable_streams',
    'Durable streams, including deleted ones kept for their forks.',
    () => durable.size,
  );
  counter(
    'sluice_log_lines_dropped_total',
    'Log lines of the process that were dropped because the reader of stderr fell behind.',
    droppedLogLines,
  );
  gauge(
    'sluice_webhooks_pending',
    'Webhooks that are not delivered yet.',
    () => webhooks.figures.pending,
  );
  gauge(
    'sluice_webhooks_failed',
    'Webhooks that were given up and can be replayed.',
    () => webhooks.figures.failed,
  );
  gauge(
    'sluice_memory_budget_bytes',
    'Content that may be held in memory (memoryBudgetBytes).',
    () => memory.limitBytes,
  );
  gauge(
    'sluice_memory_bytes',
    'Content that is held in memory, by kind.',
    () => by('kind', Object.entries(memory.byKind())),
    ['kind'],
  );
  counter(
    'sluice_memory_refusals_total',
    'Requests refused because the memory budget was used up, by resource.',
    () => by('resource', Object.entries(memory.refusals)),
    ['resource'],
  );
  counter(
    'sluice_memory_evictions_total',
    'Finished jobs, workflows, crawls and cached answers dropped above 80 % of the budget.',
    () => memory.evictions,
  );
  if (parts.upstreams !== undefined) addUpstreamReadings(registry, parts.upstreams);
  if (parts.file !== undefined) addStoreReadings(registry, parts.file);
}

/**
 * @param {Registry} registry
 * @param {NonNullable<ReadParts['upstreams']>} figures
 */
function addUpstreamReadings(registry, figures) {
  const { gauge, counter } = readings(registry);
  const each = (/** @type {(of: ReturnType<typeof figures>[number]) => number} */ value) => () =>
    by(
      'upstream',
      figures().map((of) => [of.name, value(of)]),
    );
  counter(
    'sluice_upstream_calls_total',
    'Calls of each upstream.',
    each(({ calls }) => calls),
    ['upstream'],
  );
  counter(
    'sluice_upstream_failures_total',
    'Calls of each upstream that failed, by error code.',
    () =>
      figures().flatMap(({ name: upstream, failures }) =>
        Array.from(failures, ([code, count]) => [{ upstream, code }, count]),
      ),
    ['upstream', 'code'],
  );
  gauge(
    'sluice_upstream_in_flight',
    'Running calls of each upstream.',
    each(({ inFlight }) => inFlight),
    ['upstream'],
  );
  gauge(
    'sluice_upstream_circuit_open',
    '1 while an upstream gets no new calls after failures, else 0.',
    each(({ open }) => (open ? 1 : 0)),
    ['upstream'],
  );
}

/**
 * @param {Registry} registry
 * @param {NonNullable<ReadParts['file']>} file
 */
function addStoreReadings(registry, file) {
  const { gauge, counter } = readings(registry);
  counter(
    'sluice_store_commits_total',
    'Transactions of the data file.',
    () => file.figures.commits,
  );
  counter(
    'sluice_store_batches_total',
    'Groups of changes in the transactions of the data file.',
    () => file.figures.batches,
  );
  gauge(
    'sluice_store_queued',
    'Changes that wait for the next transaction of the data file.',
    () => file.figures.queued,
  );
  gauge(
    'sluice_store_state',
    'Result of the last transaction of the data file: 1 for the current state, 0 for the others.',
    () => stateRows(STORE_STATES, file.figures.state),
    ['state'],
  );
}
