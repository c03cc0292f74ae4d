/** The ordered shutdown of a gateway. Main thread. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Each round is one barrier; two or three are enough. */
const ROUNDS_MAX = 100;

/** Time for readers to receive their terminal events. */
const READERS_GRACE_MS = 2000;
const READERS_POLL_MS = 10;

/**
 * Resolves once every reader has its terminal event, at the latest after READERS_GRACE_MS.
 * @param {import('../streams/hub.js').JobHub} hub
 */
async function readersServed(hub) {
  const deadlineMs = performance.now() + READERS_GRACE_MS;
  while (hub.subscriberCount > 0 && performance.now() < deadlineMs) await sleep(READERS_POLL_MS);
}

/**
 * Refuses new work, lets the rest run for `drainMs`, then ends it as `shutdown`. In a deployment of
 * several processes, jobs that can run elsewhere are handed over instead; jobs that have not begun are handed over
 * at once. When this resolves, every reader has its terminal event, due webhooks have been attempted, and servers
 * and provider are closed; the hub is still open.
 * @param {import('./assembly.js').GatewayParts &
 *   {deployment?: import('../cluster/deployment.js').Deployment}} parts
 * @param {{drainMs: number, servers: Set<import('../http/server.js').GatewayServer>}} options
 */
export async function shutDown(parts, { drainMs, servers }) {
  const { gate, admission, turns, store, operations, pipeline, hub, logs, lifecycle } = parts;
  const { reservations, billing, deployment } = parts;
  gate.draining = true;
  admission.close();
  turns.close();
  await store?.restored;
  await deployment?.beginToLeave();
  const cancelRest = async () => {
    operations.cancelAll('shutdown');
    if (deployment !== undefined) await deployment.offerRest();
    lifecycle.cancelAll();
  };
  const busy = () =>
    admission.pending > 0 ||
    reservations.open > 0 ||
    billing.jobs.open > 0 ||
    lifecycle.jobs.active().length > 0;
  const timer = setTimeout(cancelRest, drainMs);
  if (drainMs === 0) await cancelRest();
  await operations.idle();
  await pipeline.close();
  clearTimeout(timer);
  // A request in admission may still become a job, and a shared answer ends one barrier later than
  // the last job that used it.
  for (let round = 0; round === 0 || (busy() && round < ROUNDS_MAX); round += 1) {
    await cancelRest();
    await lifecycle.settled();
  }
  await readersServed(hub);
  logs.close();
  parts.admin.close();
  parts.kv.close();
  parts.durable.close();
  await Promise.all([...servers].map((server) => server.drain()));
  await parts.options.provider.close?.();
  await turns.idle();
  await parts.webhooks.close();
}
