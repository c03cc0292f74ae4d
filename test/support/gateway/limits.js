/** Gateways with limits, and the remainder of the limits. */
import { ManualClock } from '../../../lib/index.js';
import { endpoints } from '../../../lib/jobs/policy/config.js';
import { echo } from '../providers/providers.js';
import { start } from './gateway.js';
import { partsOf } from './parts.js';

export const limits = { requests_per_minute: 60, tokens_per_minute: 1000, concurrent_jobs: 5 };

/** The remainder of the limits, as `{requests, tokens, concurrent_jobs}`. */
export function left(gateway, principal = 'anonymous') {
  const { access, reservations } = partsOf(gateway);
  const subject = { access: access.of(principal), model: 'm', endpoint: endpoints.jobs };
  const entries = reservations.peek(subject);
  return Object.fromEntries(entries.map(({ dimension, remaining }) => [dimension, remaining]));
}

/** The number of open reservations. */
export const leases = (gateway) => partsOf(gateway).reservations.open;

/** A gateway with a manual clock, so that no limit refills by itself. */
export const startStill = (options) =>
  start({ provider: echo, clock: new ManualClock(), access: { limits }, ...options });
