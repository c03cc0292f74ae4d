/** Metrics that exist only with Redis. */
import { promClient } from '../internal/util/packages.js';

/** States of Redis. */
const STATES = /** @type {const} */ ([
  ...['connecting', 'ok', 'unreachable', 'readonly', 'full', 'refused'],
]);

const OUTCOMES = /** @type {const} */ (['failed', 'rerun', 'handed_over']);

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
 * @property {Record<(typeof OUTCOMES)[number], number>} failovers
 */

/**
 * @param {import('prom-client').Registry} registry
 * @param {() => Promise<ClusterFigures>} figures
 * @returns {{observeRoundtrip: (seconds: number) => void}}
 */
export function addClusterMetrics(registry, figures) {
  const { Counter, Gauge, Histogram } = promClient();
  const registers = [registry];

  /**
   * @param {string} name
   * @param {string} help
   * @param {(of: ClusterFigures) => number} value
   */
  const gauge = (name, help, value) =>
    new Gauge({
      ...{ name, help, registers },
      async collect() {
        this.set(value(await figures()));
      },
    });

  /**
   * @param {string} name
   * @param {string} help
   * @param {(of: ClusterFigures) => number} value
   */
  const counter = (name, help, value) =>
    new Counter({
      ...{ name, help, registers },
      async collect() {
        const all = await figures();
        this.reset();
        this.inc(value(all));
      },
    });

  new Gauge({
    name: 'sluice_redis_state',
    help: 'How Redis answers: 1 for the state that it is in.',
    labelNames: ['state'],
    registers,
    async collect() {
      const { state: now } = await figures();
      for (const state of STATES) this.set({ state }, state === now ? 1 : 0);
    },
  });
  const roundtrip = new Histogram({
    name: 'sluice_redis_roundtrip_seconds',
    help: 'From a beat to its answer.',
    buckets: ROUNDTRIP_BUCKETS,
    registers,
  });
  counter('sluice_redis_reconnects_total', 'Reconnections of the writer.', (of) => of.reconnects);
  gauge('sluice_redis_unsent_tokens', 'Tokens that are not in Redis yet.', (of) => of.unsentTokens);
  gauge(
    'sluice_redis_followed_jobs',
    'Jobs of others that are read here.',
    (of) => of.followedJobs,
  );
  counter('sluice_redis_fenced_total', 'Jobs that another process has taken.', (of) => of.fenced);
  counter('sluice_redis_data_loss_total', 'Times that Redis lost its data.', (of) => of.dataLosses);
  new Counter({
    name: 'sluice_redis_catch_ups_total',
    help: 'Times that a followed log was read from the stream, by cause.',
    labelNames: ['why'],
    registers,
    async collect() {
      const { catchUps } = await figures();
      this.reset();
      for (const [why, count] of Object.entries(catchUps)) this.inc({ why }, count);
    },
  });
  counter(
    'sluice_redis_conflicting_endings_total',
    'Jobs whose readers here received an ending other than the final one.',
    (of) => of.conflictingEndings,
  );
  gauge('sluice_processes', 'Processes of the deployment.', (of) => of.processes);
  new Counter({
    name: 'sluice_failovers_total',
    help: 'Jobs that this process has taken over, by result.',
    labelNames: ['outcome'],
    registers,
    async collect() {
      const { failovers } = await figures();
      this.reset();
      for (const outcome of OUTCOMES) this.inc({ outcome }, failovers[outcome]);
    },
  });
  return { observeRoundtrip: (seconds) => roundtrip.observe(seconds) };
}
