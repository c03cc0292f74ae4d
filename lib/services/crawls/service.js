/** The gateway's crawls: `gateway.crawls` and `/v1/crawls`. Main thread. */
import { OperationService } from '../operations/service.js';
import { checkContents, checkMetadataSize, jobSchema, schemaRefusal } from '../../jobs/request.js';
import { checkCrawlRequest, crawlEvent, crawlOptions, crawlProperties } from './request.js';
import { crawl } from '../../primitives/crawler/crawl.js';
import { schemaCheck } from '../../internal/util/request-schema.js';
import { internalError, workWallMs } from '../operations/operation.js';

/** Default of `max_wall_ms`: an hour. */
const MAX_WALL_MS = 3_600_000;

/**
 * @typedef {import('./request.js').CrawlRequest & import('../operations/types.js').PolicyFields &
 *   {metadata?: Record<string, unknown>}} CrawlsRequest
 */

/**
 * The state of a crawl in `gateway.crawls`.
 * @typedef {object} CrawlView
 * @property {string} id
 * @property {'running' | 'completed' | 'failed' | 'cancelled'} status
 * @property {number} createdAt Unix seconds
 * @property {string} startUrl
 * @property {{pages: number, skipped: number, errors: number, requests: number, waiting: number}}
 *   counts so far; see CrawlStats
 * @property {{duration_ms: number, events: number}} [metrics] once it has ended
 * @property {{code: string, message: string, type: string}} [error]
 * @property {string} [reason] of a completed crawl `complete`, or `limit` if there was more to fetch;
 *   of a cancelled one the cause
 * @property {Record<string, unknown>} [metadata]
 */

const { properties: ofJob } = jobSchema;

const validate = schemaCheck({
  type: 'object',
  additionalProperties: false,
  required: ['start_url'],
  properties: {
    ...crawlProperties,
    metadata: ofJob.metadata,
    on_disconnect: ofJob.on_disconnect,
    disconnect_grace_ms: ofJob.disconnect_grace_ms,
    max_wall_ms: workWallMs,
  },
});

/**
 * @param {unknown} body parsed JSON
 * @returns {CrawlsRequest} the same object
 * @throws {import('../../internal/util/http-error.js').HttpError} 400, naming the field in `param`
 */
function check(body) {
  if (!validate(body)) throw schemaRefusal(/** @type {any} */ (validate.errors)[0]);
  const request = /** @type {CrawlsRequest} */ (body);
  checkContents(request);
  checkMetadataSize(request.metadata);
  checkCrawlRequest(request);
  return request;
}

/** @typedef {{start_url: string, counts: CrawlView['counts']}} CrawlSummary */

/** @typedef {import('../../cluster/operations/own-operations.js').OperationWork} OperationWork */

/** @implements {OperationWork} A running crawl. */
class CrawlWork {
  #startUrl;

  /**
   * @param {CrawlsRequest} request
   * @param {ReturnType<typeof crawl>} crawling
   */
  constructor({ start_url }, crawling) {
    this.#startUrl = start_url;
    this.crawling = crawling;
  }

  /** @returns {CrawlSummary} */
  summary() {
    const { ended: _, ...counts } = this.crawling.stats();
    return { start_url: this.#startUrl, counts };
  }

  /** @returns {[]} none: a crawl has no nodes */
  takeChanges() {
    return [];
  }

  giveBack() {}

  touchAll() {}
}

/**
 * @param {import('../operations/operation.js').Operation |
 *   import('../operations/types.js').SavedOperation} operation
 * @returns {CrawlView}
 */
function describe(operation) {
  const { id, status, createdAtMs, final, metadata, data } = operation;
  // The counts of a cancelled crawl change for a moment; all processes show the counts at its ending.
  const { start_url: startUrl, counts } = /** @type {CrawlSummary} */ (
    ('summary' in operation && operation.summary) || data.summary()
  );
  return {
    id,
    status: /** @type {CrawlView['status']} */ (status),
    createdAt: Math.floor(createdAtMs / 1000),
    startUrl,
    counts,
    ...(final && { metrics: final.metrics }),
    ...(final?.error && { error: final.error }),
    ...(final?.reason && { reason: final.reason }),
    ...(metadata && { metadata }),
  };
}

/**
 * Writes the outcome of each URL to the crawl's log, then its terminal event.
 * @param {import('../operations/operation.js').Operation} operation
 * @param {import('../../internal/util/logger.js').Logger} log
 */
async function run(operation, log) {
  const { crawling } = /** @type {CrawlWork} */ (operation.data);
  try {
    for await (const found of crawling) {
      const { type, data } = crawlEvent(found, { text: true });
      operation.changed();
      if (!operation.emit(type, data)) await operation.room();
    }
    const { ended, waiting: _, ...details } = crawling.stats();
    operation.finish({ type: 'complete', reason: ended, details });
  } catch (error) {
    if (operation.signal.aborted) return;
    log.error({ err: error, crawl_id: operation.id }, 'crawl failed');
    operation.finish({ type: 'error', error: internalError() });
  }
}

/**
 * Crawls as operations: the outcome of each URL is an event of the crawl's stream. The slowest reader
 * of the stream sets the pace; without readers a crawl runs to its end. The gateway creates one
 * instance.
 * @extends {OperationService<CrawlsRequest, CrawlView, import('../../streams/events.js').CrawlEvent>}
 */
export class Crawls extends OperationService {
  /** @param {import('../operations/types.js').ServiceParts} service */
  constructor(service) {
    const { crawl: settings, clock, logger } = service.options;
    super(service, {
      name: 'crawl',
      maxWallMs: MAX_WALL_MS,
      check,
      prepare(operation, request) {
        const { signal } = operation;
        const options = { ...crawlOptions(request), ...settings, clock, signal };
        operation.data = new CrawlWork(request, crawl(options));
        // Redis stores nothing of it: a crawl is never retried, and its headers may be secret.
        operation.body = {};
      },
      run: (operation) => void run(operation, logger),
      describe,
      restore: (_operation, { snapshot }) => ({
        ...{ summary: () => snapshot, takeChanges: () => [], giveBack() {}, touchAll() {} },
      }),
    });
  }
}
