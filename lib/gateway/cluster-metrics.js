/** Metrics that exist only with Redis. */
import { by, readings, stateRows } from './metric-readings.js';
import { promClient } from '../internal/util/packages.js';

/** States of Redis. */
const STATES = /** @type {const} */ ([
  ...['connecting', 'ok', 'unreachable', 'readonly', 'full', 'refused'],
]);

const ROUNDTRIP_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/**
 * @typedef {object} ClusterFigures read at each scrape
 * @property {(typeof STATES)[number]} state
 * @property {number} reconnects
 * @property {number} unsentTokens in the logs of jobs of this process, not in Redis yet
 * @property {number} followedJobs of other processes
 * @property {number} fenced jobs of this process that another process has taken
 * @property {number} dataLosses
 * @property {Record<string, number>} catchUps by cause
 * @property {number} conflictingEndings
 * @property {number} processes of the deployment, last known number
 * @property {Record<'failed' | 'rerun' | 'handed_over', number>} failovers
 */

/**
 * @param {import('prom-client').Registry} registry
 * @param {() => Promise<ClusterFigures>} figures
 * @returns {{observeRoundtrip: (seconds: number) => void}}
 */
export function addClusterMetrics(registry, figures) {
  const { gauge, counter } = readings(registry);
  /** @param {(all: ClusterFigures) => number | import('./metric-readings.js').Rows} read */
  const of = (read) => async () => read(await figures());
  gauge(
    'sluice_redis_state',
    'State of Redis: 1 for the current state, 0 for the others.',
    of((all) => stateRows(STATES, all.state)),
    ['state'],
  );
  const roundtrip = new (promClient().Histogram)({
    name: 'sluice_redis_roundtrip_seconds',
    help: 'Time from a beat to its answer.',
    buckets: ROUNDTRIP_BUCKETS,
    registers: [registry],
  });
  counter(
    'sluice_redis_reconnects_total',
    'Reconnections of the writer.',
    of((all) => all.reconnects),
  );
  gauge(
    'sluice_redis_unsent_tokens',
    'Tokens that are not in Redis yet.',
    of((all) => all.unsentTokens),
  );
  gauge(
    'sluice_redis_followed_jobs',
    'Jobs of other processes with readers here.',
    of((all) => all.followedJobs),
  );
  counter(
    'sluice_redis_fenced_total',
    'Jobs that another process has taken.',
    of((all) => all.fenced),
  );
  counter(
    'sluice_redis_data_loss_total',
    'Times that Redis lost its data.',
    of((all) => all.dataLosses),
  );
  counter(
    'sluice_redis_catch_ups_total',
    'Reads of a followed log from its stream, by cause.',
    of(({ catchUps }) => by('why', Object.entries(catchUps))),
    ['why'],
  );
  counter(
    'sluice_redis_conflicting_endings_total',
    'Jobs whose readers here received an ending other than the final one.',
    of((all) => all.conflictingEndings),
  );
  gauge(
    'sluice_processes',
    'Processes of the deployment.',
    of((all) => all.processes),
  );
  counter(
    'sluice_failovers_total',
    'Jobs that this process has taken over, by result.',
    of(({ failovers }) => by('outcome', Object.entries(failovers))),
    ['outcome'],
  );
  return { observeRoundtrip: (seconds) => roundtrip.observe(seconds) };
}
