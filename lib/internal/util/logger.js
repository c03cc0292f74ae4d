/**
 * Where log lines go: pino on stderr (stdout belongs to the command line's one line), a logger of
 * the caller's own, or nowhere.
 */
import { typeError } from './errors.js';
import { pino } from './packages.js';

/**
 * What Sluice needs of a logger; a pino instance is one.
 * @typedef {object} Logger
 * @property {(fields: object, message?: string) => void} [debug]
 * @property {(fields: object, message?: string) => void} info
 * @property {(fields: object, message?: string) => void} warn
 * @property {(fields: object, message?: string) => void} error
 */

const silent = Object.freeze({ info() {}, warn() {}, error() {} });

/**
 * @param {unknown} [option] `undefined`: pino on stderr; `false`: silent; else a logger
 * @returns {Logger}
 */
export function createLogger(option) {
  if (option === false) return silent;
  if (option === undefined || option === true) {
    const { destination } = pino();
    return pino()({ base: { name: 'sluice' } }, destination({ dest: 2, sync: true }));
  }
  const logger = /** @type {any} */ (option);
  for (const level of ['info', 'warn', 'error']) {
    if (typeof logger?.[level] !== 'function') {
      throw typeError('logger takes false or an object with info, warn and error (a pino logger)');
    }
  }
  return logger;
}
