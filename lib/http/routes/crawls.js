/** `/v1/crawls`: submit, read, list, cancel. */
import { workRoutes } from './operations.js';

/**
 * @param {import('../../services/crawls/service.js').CrawlView} view
 * @returns {object} as on the wire
 */
function wireCrawl({ id, status, startUrl, createdAt, counts, ...rest }) {
  return {
    crawl_id: id,
    status,
    start_url: startUrl,
    created_at: createdAt,
    ...counts,
    ...rest,
  };
}

/**
 * @param {import('../../gateway/gateway.js').Gateway} gateway
 * @returns {import('./operations.js').WorkRoutes}
 */
export function crawlRoutes({ crawls }) {
  return workRoutes(crawls, 'crawl', wireCrawl);
}
