/**
 * SIGHUP reads the configuration again. Keys, limits, origins and upstreams are replaced atomically;
 * changes of other options are logged as taking effect at the next start. Active until the process
 * ends.
 */
import { isDeepStrictEqual } from 'node:util';

/**
 * @param {object} deps
 * @param {import('../gateway/gateway.js').Gateway} deps.gateway
 * @param {object} deps.provider of the gateway; with several upstreams it has `reload`
 * @param {import('../internal/util/logger.js').Logger} deps.logger
 * @param {Record<string, unknown>} deps.values the flags at the start of the process
 * @param {object} deps.webhooks options from the file at the start of the process
 * @param {() => {values: Record<string, unknown>, access: Record<string, unknown>, webhooks: object,
 *   route: import('../providers/route/options.js').RouteConfig | undefined}} deps.read reads the flags
 *   and the file again, and checks them
 */
export function reloadOnHangup({ gateway, provider, logger, values, webhooks, read }) {
  const router = 'reload' in provider ? /** @type {any} */ (provider) : undefined;
  process.on('SIGHUP', () => {
    try {
      const now = read();
      if (router !== undefined && now.route === undefined) {
        throw new Error('upstreams may not be left out while the gateway runs with upstreams');
      }
      gateway.reload({ access: now.access });
      router?.reload(now.route);
      const ignored = Object.keys(values).filter(
        (name) => !isDeepStrictEqual(values[name], now.values[name]),
      );
      if (router === undefined && now.route !== undefined) ignored.push('upstreams');
      if (!isDeepStrictEqual(webhooks, now.webhooks)) ignored.push('webhooks');
      if (ignored.length > 0) logger.warn({ ignored }, 'these options take effect at a start');
      logger.info({}, 'configuration reloaded');
    } catch (/** @type {any} */ error) {
      logger.error({ reason: error.message }, 'configuration not reloaded, nothing has changed');
    }
  });
}
