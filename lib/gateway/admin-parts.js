/** Builds the parts behind the dashboard. Main thread. */
import { AdminFeed } from '../services/admin/feed.js';
import { AdminJobs } from '../services/admin/jobs.js';
import { OpenStreams } from '../http/sse/open-streams.js';
import { VERSION } from './metrics.js';

/** Open streams of administrators. */
const STREAMS_MAX = 100;

/**
 * @typedef {import('../services/admin/state.js').StateDeps
 *   & Pick<import('../services/admin/feed.js').FeedDeps, 'lifecycle' | 'hub' | 'pipeline' | 'memory' | 'unixMs'>
 *   & {options: import('./options.js').CheckedGatewayOptions, streams: OpenStreams,
 *   sharedReservations?: import('../services/admin/state.js').StateDeps['reservations']}} AdminDeps
 */

/** @param {Omit<AdminDeps, 'provider'>} parts of a gateway */
export function createAdmin({
  options,
  lifecycle,
  hub,
  pipeline,
  memory,
  streams,
  unixMs,
  ...rest
}) {
  const { access, operationDirectory, conversations, logs, webhooks, cluster } = rest;
  const reservations = rest.sharedReservations ?? rest.reservations;
  const { provider } = options;
  const jobs = new AdminJobs({ jobs: lifecycle.jobs, hub });
  const feed = new AdminFeed({
    ...{ jobs, lifecycle, hub, pipeline, memory, unixMs, options },
    openStreams: () => streams.size,
    about: { version: VERSION, durable: options.data !== undefined, shared: cluster !== undefined },
    state: {
      ...{ access, reservations, operationDirectory, conversations, logs, webhooks },
      ...{ provider, cluster },
    },
  });
  const hasPrincipals = () => access.keyed || options.authenticate !== undefined;
  // Not counted in `streams`, so that administrators can connect when these are full.
  const open = new OpenStreams({ max: STREAMS_MAX, hasPrincipals });
  return { jobs, feed, open };
}
