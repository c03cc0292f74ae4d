/** What the package exports. */

/** @typedef {import('./gateway/job-events.js').JobEvent} JobEvent */
/** @typedef {import('./cluster/kv/shared-kv.js').SharedKv} SharedKv */
/** @typedef {import('./cluster/ledger/shared-ledger.js').SharedLedger} SharedLedger */
/** @typedef {import('./cluster/open-redis.js').OpenRedisOptions} OpenRedisOptions */
/** @typedef {import('./cluster/open-redis.js').SharedRedis} SharedRedis */
/** @typedef {import('./gateway/options.js').GatewayOptions} GatewayOptions */
/** @typedef {import('./jobs/request.js').JobRequest} JobRequest */
/** @typedef {import('./jobs/view.js').Job} Job */
/** @typedef {import('./primitives/crawler/items.js').CrawlError} CrawlError */
/** @typedef {import('./primitives/crawler/items.js').CrawlFailed} CrawlFailed */
/** @typedef {import('./primitives/crawler/items.js').CrawlItem} CrawlItem */
/** @typedef {import('./primitives/crawler/items.js').CrawlPage} CrawlPage */
/** @typedef {import('./primitives/crawler/items.js').CrawlSkipped} CrawlSkipped */
/** @typedef {import('./primitives/crawler/items.js').CrawlStats} CrawlStats */
/** @typedef {import('./primitives/crawler/items.js').Crawling} Crawling */
/** @typedef {import('./primitives/crawler/options.js').CrawlOptions} CrawlOptions */
/** @typedef {import('./providers/route/options.js').RouteOptions} RouteOptions */
/** @typedef {import('./providers/route/options.js').UpstreamConfig} UpstreamConfig */
/** @typedef {import('./providers/shared/messages.js').ChatMessage} ChatMessage */
/** @typedef {import('./providers/shared/types.js').AnswerPiece} AnswerPiece */
/** @typedef {import('./providers/shared/types.js').ProviderEnd} ProviderEnd */
/** @typedef {import('./providers/shared/types.js').ProviderRequest} ProviderRequest */
/** @typedef {import('./providers/shared/types.js').Provider} Provider */
/** @typedef {import('./http/handler.js').Handler} Handler */
/** @typedef {import('./http/listen-options.js').ListenOptions} ListenOptions */
/** @typedef {import('./http/server.js').GatewayServer} GatewayServer */
/** @typedef {import('./jobs/policy/config.js').AccessConfig} AccessConfig */
/** @typedef {import('./services/crawls/service.js').CrawlView} CrawlView */
/** @typedef {import('./services/webhooks/deliveries.js').FailedWebhook} FailedWebhook */
/** @typedef {import('./services/webhooks/options.js').WebhookConfig} WebhookConfig */
/** @typedef {import('./services/webhooks/options.js').WebhookUrlsConfig} WebhookUrlsConfig */
/** @typedef {import('./services/workflows/schema.js').WorkflowRequest} WorkflowRequest */
/** @typedef {import('./services/workflows/service.js').WorkflowView} WorkflowView */
/** @typedef {import('./streams/events.js').CrawlEvent} CrawlEvent */
/** @typedef {import('./streams/events.js').EventError} EventError */
/** @typedef {import('./streams/events.js').EventMetrics} EventMetrics */
/** @typedef {import('./streams/events.js').EventUsage} EventUsage */
/** @typedef {import('./streams/events.js').StreamEvent} StreamEvent */
/** @typedef {import('./streams/events.js').WorkflowEvent} WorkflowEvent */

export { Gateway, createGateway } from './gateway/gateway.js';
export { FixedWindowLimiter, SlidingWindowLimiter } from './primitives/limiters/window-limiter.js';
export { HttpError } from './internal/util/http-error.js';
export { KvStore } from './primitives/kv/kv-store.js';
export { Ledger } from './primitives/ledger/ledger.js';
export { LogParser } from './primitives/logs/log-parser.js';
export { LruTtlCache } from './primitives/cache/lru-ttl-cache.js';
export { ManualClock } from './internal/time/clock.js';
export { Pipeline } from './primitives/scheduling/pipeline.js';
export { ProviderError } from './providers/shared/errors.js';
export { Quota } from './primitives/limiters/quota.js';
export { QuotaLease } from './primitives/limiters/quota-lease.js';
export { RollingWindow } from './primitives/limiters/rolling-window.js';
export { SluiceError } from './internal/util/errors.js';
export { StreamBuffer } from './primitives/scheduling/stream-buffer.js';
export { TaskGraph } from './primitives/scheduling/task-graph.js';
export { TokenBucketLimiter } from './primitives/limiters/token-bucket-limiter.js';
export { openRedis } from './cluster/open-redis.js';
export { providers } from './providers/index.js';
export { crawl } from './primitives/crawler/crawl.js';
