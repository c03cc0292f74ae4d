/**
 * The destination of log lines: pino on stderr (stdout is used by the command line), a logger of
 * the caller, or none.
 *
 * A slow reader of stderr must not stop the process: lines wait in memory up to a bound, and
 * further ones are dropped and counted. Node writes to pipes and sockets asynchronously, and to files and
 * terminals at once. The lines of one turn of the event loop leave in one write, at its end or when the
 * process exits. The process has one stderr, so the state of this file is shared.
 */
import { typeError } from './errors.js';
import { pino } from './packages.js';

/**
 * The logger interface used by Sluice; a pino instance implements it.
 * @typedef {object} Logger
 * @property {(fields: object, message?: string) => void} [debug]
 * @property {(fields: object, message?: string) => void} info
 * @property {(fields: object, message?: string) => void} warn
 * @property {(fields: object, message?: string) => void} error
 */

/** Maximum bytes of lines that wait for stderr's reader. */
const WAITING_BYTES_MAX = 1024 * 1024;

const stderr = {
  dropped: 0,
  /** Dropped lines that no log line has reported yet. */
  untold: 0,
  opened: false,
  /** Lines of this turn. */
  gathered: '',

  open() {
    this.opened = true;
    // A reader that has closed its end must not end the process.
    process.stderr.on('error', () => {});
    process.on('exit', () => this.flush());
  },

  /** @param {string} line of pino, with its end */
  write(line) {
    if (!this.opened) this.open();
    const waiting = process.stderr.writableLength + this.gathered.length;
    if (waiting + line.length > WAITING_BYTES_MAX) {
      this.dropped += 1;
      this.untold += 1;
      return;
    }
    if (this.gathered === '') setImmediate(() => this.flush());
    this.gathered += line;
  },

  flush() {
    const lines = this.gathered;
    this.gathered = '';
    const { stderr: stream } = process;
    if (lines !== '') stream.write(lines);
    if (this.untold === 0 || stream.writableLength > WAITING_BYTES_MAX / 2) return;
    const dropped = this.untold;
    this.untold = 0;
    stderrLogger.warn({ dropped }, 'log lines were dropped: the reader of stderr fell behind');
  },
};

/** @type {Logger | undefined} */
let logger;

/** @returns {Logger} */
function pinoLogger() {
  logger ??= pino()({ base: { name: 'sluice' } }, stderr);
  return /** @type {Logger} */ (logger);
}

/** Loads pino with its first line: a server listens before it logs. */
const stderrLogger = Object.freeze({
  /** @type {Logger['info']} */
  debug: (fields, message) => pinoLogger().debug?.(fields, message),
  /** @type {Logger['info']} */
  info: (fields, message) => pinoLogger().info(fields, message),
  /** @type {Logger['info']} */
  warn: (fields, message) => pinoLogger().warn(fields, message),
  /** @type {Logger['info']} */
  error: (fields, message) => pinoLogger().error(fields, message),
});

/** Writes the lines of this turn now: before output that follows them. */
export function flushLog() {
  stderr.flush();
}

/** @returns {number} number of lines dropped because stderr had no room */
export function droppedLogLines() {
  return stderr.dropped;
}

const silent = Object.freeze({ info() {}, warn() {}, error() {} });

/**
 * @param {unknown} [option] `undefined`: pino on stderr; `false`: silent; else a logger
 * @returns {Logger}
 */
export function createLogger(option) {
  if (option === false) return silent;
  if (option === undefined || option === true) return stderrLogger;
  const given = /** @type {any} */ (option);
  for (const level of ['info', 'warn', 'error']) {
    if (typeof given?.[level] !== 'function') {
      throw typeError('logger takes false or an object with info, warn and error (a pino logger)');
    }
  }
  return given;
}
