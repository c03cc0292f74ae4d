/**
 * The end of a gateway, step by step: what runs may go on for a while, then it is ended; every reader
 * gets its terminal event; then servers and provider are closed. Main thread.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

/** Each is a way to the reactors and back; two or three are enough. */
const kRoundsMax = 100;

/** How long readers may take to get their terminal events. */
const kReadersGraceMs = 2000;
const kReadersPollMs = 10;

/**
 * Every reader has its terminal event, whichever server it came by, or takes too long.
 * @param {import('../streams/hub.js').JobHub} hub
 */
async function readersServed(hub) {
  const deadlineMs = performance.now() + kReadersGraceMs;
  while (hub.channelCount > 0 && performance.now() < deadlineMs) await sleep(kReadersPollMs);
}

/**
 * Nothing comes in any more. When this resolves nothing is left but the hub.
 * @param {object} gateway
 * @param {import('../services/operations/operations.js').Works} gateway.works
 * @param {import('../primitives/scheduling/pipeline.js').Pipeline} gateway.pipeline
 * @param {import('../streams/hub.js').JobHub} gateway.hub
 * @param {Set<import('../http/server.js').GatewayServer>} gateway.servers
 * @param {import('../services/error-logs/service.js').LogService} gateway.logs
 * @param {import('../providers/shared/types.js').Provider} gateway.provider
 * @param {() => void} gateway.cancelRest ends all that is under way, once and for all
 * @param {() => Promise<unknown>} gateway.told resolves when all endings so far have been heard of
 * @param {() => boolean} gateway.busy whether there is something that has not ended
 * @param {number} drainMs until `cancelRest`
 */
export async function windUp(gateway, drainMs) {
  const { works, pipeline, hub, servers, logs, provider, cancelRest, told, busy } = gateway;
  const timer = setTimeout(cancelRest, drainMs);
  if (drainMs === 0) cancelRest();
  await works.idle();
  await pipeline.close();
  clearTimeout(timer);
  // What was on its way in may come to light still, and a shared answer is ended when the last job
  // that had it is heard to have.
  for (let round = 0; round === 0 || (busy() && round < kRoundsMax); round += 1) {
    cancelRest();
    await told();
  }
  await readersServed(hub);
  logs.close();
  await Promise.all([...servers].map((server) => server.drain()));
  await provider.close?.();
}
