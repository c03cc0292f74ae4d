/** The HTTP handler of a gateway. */
import { contractRoutes } from '../http/contract.js';
import { createAdminCheck } from '../http/middleware/require-admin.js';
import { FaceCalls } from '../http/faces/calls.js';
import { createHandler } from '../http/handler.js';
import { StoredResponses } from '../http/faces/responses/stored.js';

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
    directory,
    lifecycle,
    metrics,
    logs,
    memory,
  } = parts;
  const { authenticate } = options;
  const admins = createAdminCheck({ access, authenticate });
  const { workflows, crawls, conversations } = parts;
  const { orphans, chats, events } = parts.faces;
  const calls = new FaceCalls({ hub, events, open: parts.streams, orphans, options });
  const stored = new StoredResponses(lifecycle, options.responses);
  const routes = contractRoutes({
    jobs: { jobs, admission, streamUrls },
    streams: {
      ...{ hub, directory, streamUrls, open: parts.streams, options },
      operations: parts.operationDirectory,
    },
    faces: { admission, directory, jobs, chats, calls, stored, options },
    conversations: { conversations },
    operations: { workflows, crawls },
    kv: {
      kv: parts.kv,
      valueBytesMax: options.kv.maxValueBytes,
      open: parts.watches,
      options,
    },
    durable: { durable: parts.durable, open: parts.streams, unixMs: parts.unixMs, options },
    credits: { credits: parts.billing.credits, admins },
    logs: { logs, open: parts.errorStreams, options },
    embeddings: async () => ({ embeddings: await parts.embeddings() }),
    models: { provider: options.provider },
    webhooks: { webhooks: parts.webhooks },
    audit: { audit: parts.audit },
    keys: async () => ({ keys: await parts.keys() }),
    admin: async () => ({
      ...{ ...(await parts.admin.load()), directory, workflows, conversations },
      options,
    }),
    health: {
      ready: () => !parts.gate.draining,
      writable: () => parts.store?.file.usable !== false && parts.deployed?.isReady() !== false,
      metrics,
    },
  });
  return createHandler({
    ...{ routes, access, authenticate, streamUrls, admins, checkOpen },
    trustProxy: options.trustProxy,
    bodyBytesMax: options.maxBodyBytes,
    bodyIdleMs: options.bodyIdleMs,
    stallMs: options.stallMs,
    memory,
    audit: parts.audit,
    onRequest: (req, res, route, answer) => parts.telemetry.onRequest(req, res, route, answer),
    onAnswer: (route, status) => metrics.answers.add(route, status),
    log: options.logger,
  });
}
