/** What the package exports. */

/** @typedef {import('./crawl/items.js').CrawlItem} CrawlItem */
/** @typedef {import('./event-stream.js').StreamEvent} StreamEvent */
/** @typedef {import('./gateway-options.js').GatewayOptions} GatewayOptions */
/** @typedef {import('./job-view.js').Job} Job */
/** @typedef {import('./providers/types.js').Provider} Provider */
/** @typedef {import('./providers/types.js').ProviderEnd} ProviderEnd */
/** @typedef {import('./providers/types.js').ProviderRequest} ProviderRequest */
/** @typedef {import('./schema.js').JobRequest} JobRequest */

export { Gateway, createGateway } from './gateway.js';
export { FixedWindowLimiter, SlidingWindowLimiter } from './window-limiter.js';
export { HttpError } from './http-errors.js';
export { KvStore } from './kv/kv-store.js';
export { Ledger } from './ledger.js';
export { LogParser } from './log-parser.js';
export { LruTtlCache } from './lru-ttl-cache.js';
export { ManualClock } from './clock.js';
export { Pipeline } from './pipeline.js';
export { ProviderError } from './providers/errors.js';
export { Quota } from './quota.js';
export { QuotaLease } from './quota-lease.js';
export { RollingWindow } from './rolling-window.js';
export { SluiceError } from './errors.js';
export { StreamBuffer } from './stream-buffer.js';
export { TaskGraph } from './task-graph.js';
export { TokenBucketLimiter } from './token-bucket-limiter.js';
export { providers } from './providers/index.js';
export { crawl } from './crawl/crawl.js';
