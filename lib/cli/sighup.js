/**
 * SIGHUP: the configuration is read again. Keys, limits and origins change at once and as a whole, or
 * not at all; of the rest is said that it takes a start. Lasts as long as the process.
 */

/**
 * @param {object} parts
 * @param {import('../gateway/gateway.js').Gateway} parts.gateway
 * @param {import('../internal/util/logger.js').Logger} parts.logger
 * @param {Record<string, unknown>} parts.values the flags that the process was started with
 * @param {() => {values: Record<string, unknown>, members: Record<string, unknown>}} parts.read
 *   reads them again, with what the file says now
 */
export function reloadOnHangup({ gateway, logger, values, read }) {
  process.on('SIGHUP', () => {
    try {
      const now = read();
      gateway.reload({ access: now.members });
      const ignored = Object.keys(values).filter((name) => values[name] !== now.values[name]);
      if (ignored.length > 0) logger.warn({ ignored }, 'these options take effect at a start');
      logger.info({}, 'configuration reloaded');
    } catch (/** @type {any} */ error) {
      logger.error({ reason: error.message }, 'configuration not reloaded, nothing has changed');
    }
  });
}
