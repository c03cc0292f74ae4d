/**
 * SIGHUP reads the configuration again. Keys, limits and origins are replaced atomically; changes
 * of other options are logged as taking effect at the next start. Active until the process ends.
 */
import { isDeepStrictEqual } from 'node:util';

/**
 * @param {object} deps
 * @param {import('../gateway/gateway.js').Gateway} deps.gateway
 * @param {import('../internal/util/logger.js').Logger} deps.logger
 * @param {Record<string, unknown>} deps.values the flags at the start of the process
 * @param {() => {values: Record<string, unknown>, members: Record<string, unknown>}} deps.read
 *   reads the flags and the file again
 */
export function reloadOnHangup({ gateway, logger, values, read }) {
  process.on('SIGHUP', () => {
    try {
      const now = read();
      gateway.reload({ access: now.members });
      const ignored = Object.keys(values).filter(
        (name) => !isDeepStrictEqual(values[name], now.values[name]),
      );
      if (ignored.length > 0) logger.warn({ ignored }, 'these options take effect at a start');
      logger.info({}, 'configuration reloaded');
    } catch (/** @type {any} */ error) {
      logger.error({ reason: error.message }, 'configuration not reloaded, nothing has changed');
    }
  });
}
