/** The HTTP handler of a gateway. */
import { contractRoutes } from '../http/contract.js';
import { createAdminCheck } from '../http/middleware/require-admin.js';
import { FaceCalls } from '../http/faces/calls.js';
import { createHandler } from '../http/handler.js';

/**
 * @param {import('./assembly.js').GatewayParts} parts
 * @param {import('../http/routes/jobs.js').JobsPort} jobs
 * @param {() => void} checkOpen throws an HttpError once the gateway is closed
 * @returns {import('../http/handler.js').Handler}
 */
export function createGatewayHandler(parts, jobs, checkOpen) {
  const {
    access,
    options,
    streamUrls,
    hub,
    admission,
    lifecycle,
    operations,
    metrics,
    logs,
    memory,
  } = parts;
  const { authenticate } = options;
  const admins = createAdminCheck({ access, authenticate });
  const { workflows, crawls, conversations } = parts;
  const calls = new FaceCalls({ hub, lifecycle, open: parts.streams, options });
  const routes = contractRoutes({
    jobs: { jobs, admission, streamUrls },
    streams: { hub, jobs: lifecycle.jobs, operations, streamUrls, open: parts.streams, options },
    faces: { admission, lifecycle, jobs, calls, options },
    conversations: { conversations },
    operations: { workflows, crawls },
    kv: {
      kv: parts.kv,
      memory,
      valueBytesMax: options.kv.maxValueBytes,
      open: parts.watches,
      options,
    },
    durable: { durable: parts.durable, open: parts.streams, unixMs: parts.unixMs, options },
    credits: { credits: parts.billing.credits, admins },
    logs: { logs, open: parts.errorStreams, options },
    embeddings: { embeddings: parts.embeddings },
    models: { provider: options.provider },
    health: {
      ready: () => !parts.gate.draining,
      writable: () => parts.store?.file.usable !== false,
      registry: metrics.registry,
    },
  });
  return createHandler({
    ...{ routes, access, authenticate, streamUrls, admins, checkOpen },
    trustProxy: options.trustProxy,
    bodyBytesMax: options.maxBodyBytes,
    bodyIdleMs: options.bodyIdleMs,
    stallMs: options.stallMs,
    memory,
    log: options.logger,
  });
}
