/**
 * Where log lines go: pino on stderr (stdout belongs to the command line's one line), a logger of
 * the caller's own, or nowhere.
 *
 * A reader of stderr that falls behind must not stop the process: lines wait in memory up to a bound, and
 * further ones are dropped and counted. Node writes to pipes and sockets asynchronously, and to files and
 * terminals at once. The lines of one turn of the event loop leave in one write, at its end or when the
 * process exits. The process has one stderr, so the state of this file is shared.
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

/** Lines that wait for stderr's reader. */
const WAITING_BYTES_MAX = 1024 * 1024;

const stderr = {
  dropped: 0,
  /** Of `dropped`: lines that no line of the log has told of yet. */
  untold: 0,
  opened: false,
  /** Lines of this turn. */
  gathered: '',

  open() {
    this.opened = true;
    // A reader that has closed its end takes no lines; that is no reason to end.
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
    stderrLogger().warn({ dropped }, 'log lines were dropped: the reader of stderr fell behind');
  },
};

/** @type {Logger | undefined} */
let logger;

/** @returns {Logger} */
function stderrLogger() {
  logger ??= pino()({ base: { name: 'sluice' } }, stderr);
  return /** @type {Logger} */ (logger);
}

/** @returns {number} lines of this process that stderr had no room for */
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
  if (option === undefined || option === true) return stderrLogger();
  const given = /** @type {any} */ (option);
  for (const level of ['info', 'warn', 'error']) {
    if (typeof given?.[level] !== 'function') {
      throw typeError('logger takes false or an object with info, warn and error (a pino logger)');
    }
  }
  return given;
}
