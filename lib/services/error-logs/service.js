import { ErrorRing } from './ring-buffer.js';
import { LogParser } from '../../primitives/logs/log-parser.js';
import { lazy, pino } from '../../internal/util/packages.js';

/** Limits of an event: enough for a stack trace, since a thousand events are kept. */
const LINES_MAX = 200;
const BYTES_MAX = 16 * 1024;
/** Bytes read from the end of a followed file that exists already. */
const TAIL_BYTES = 16 * 1024 * 1024;

/**
 * A reader of the errors. `pump` announces new ones, `end` the end of the service.
 * @typedef {{pump: () => void, end: () => void}} ErrorReader
 */

/**
 * The error logs of a gateway: parses its own log, the log files that it follows and uploaded logs
 * with one parser, and serves the errors to readers. `close()` ends it.
 */
export class LogService {
  #parser = new LogParser({ maxLines: LINES_MAX, maxBytes: BYTES_MAX });
  #ring = new ErrorRing();
  /** @type {Set<ErrorReader>} */
  #readers = new Set();
  #closing = new AbortController();
  /** @type {NodeJS.Timeout | undefined} */
  #flushTimer;
  #uploads = 0;
  /** @type {Map<string, string>} names for users, by the source of a running upload */
  #labels = new Map();
  #own;
  #given;

  /**
   * @param {object} options
   * @param {import('../../internal/util/logger.js').Logger} options.logger still gets every line
   * @param {string[]} options.files to follow
   */
  constructor(options) {
    this.#given = options.logger;
    this.#own = lazy(() =>
      pino()(
        { base: { name: 'sluice' } },
        { write: (/** @type {string} */ line) => this.#take(this.#errorsOf(line, 'sluice')) },
      ),
    );
    for (const file of options.files) this.#follow(file);
  }

  /**
   * The given logger, whose errors also go to the parser. Other lines do not go there: parsing a line for each
   * successful job would waste time.
   * @returns {import('../../internal/util/logger.js').Logger & {debug?: (fields: object, message?: string) => void}}
   */
  get logger() {
    const given = /** @type {any} */ (this.#given);
    return {
      ...(typeof given.debug === 'function' && {
        debug: (/** @type {any[]} */ ...line) => given.debug(...line),
      }),
      info: (...line) => given.info(...line),
      warn: (...line) => given.warn(...line),
      error: (...line) => {
        given.error(...line);
        this.#own().error(...line);
      },
    };
  }

  /**
   * @param {string | Buffer} chunk
   * @param {string} source
   */
  #errorsOf(chunk, source) {
    return this.#parser.errors(chunk, { source });
  }

  /**
   * @param {import('../../primitives/logs/log-parser.js').LogEvent[]} events of any source, since pauses end events
   *   of others
   */
  #take(events) {
    let any = false;
    for (const event of events) {
      if (event.level !== 'error' && event.level !== 'fatal') continue;
      const label = this.#labels.get(event.source);
      this.#ring.add(label === undefined ? event : { ...event, source: label });
      any = true;
    }
    if (any) for (const reader of this.#readers) reader.pump();
    this.#scheduleFlush();
  }

  /** Emits an event at the end of its pause without further input. */
  #scheduleFlush() {
    if (this.#flushTimer !== undefined || this.#closing.signal.aborted) return;
    const dueMs = this.#parser.nextFlushMs();
    if (dueMs === Infinity) return;
    this.#flushTimer = setTimeout(
      () => {
        this.#flushTimer = undefined;
        this.#take(this.#parser.flush());
      },
      Math.max(dueMs - performance.now(), 1),
    ).unref();
  }

  /** @param {string} file */
  async #follow(file) {
    const { signal } = this.#closing;
    const { followFile } = await import('../../primitives/logs/tail.js');
    try {
      await followFile(file, {
        signal,
        tailBytes: TAIL_BYTES,
        background: true,
        onChunk: (chunk) => this.#take(this.#errorsOf(chunk, file)),
        onRestart: () => this.#take(this.#parser.end({ source: file })),
      });
    } catch (/** @type {any} */ err) {
      this.#given.error({ err, file }, 'log file cannot be followed');
    }
  }

  /**
   * Reads an uploaded log.
   * @param {AsyncIterable<Buffer>} chunks plain or gzip, read at the pace of the parser
   * @param {string} label the source of its events
   * @returns {Promise<import('../../primitives/logs/log-parser.js').LogStats>}
   */
  async read(chunks, label) {
    this.#uploads += 1;
    const { plainChunks } = await import('../../primitives/logs/decompress.js');
    // Simultaneous uploads under one name are separate sources.
    const source = `${label}\n${this.#uploads}`;
    this.#labels.set(source, label);
    try {
      for await (const chunk of plainChunks(chunks)) {
        this.#take(this.#errorsOf(chunk, source));
      }
    } finally {
      this.#take(this.#parser.end({ source }));
      this.#labels.delete(source);
    }
    return this.#parser.stats({ source });
  }

  /**
   * @param {{k: number, windowMs?: number}} options `windowMs` back from now
   * @returns {import('../../primitives/logs/log-parser.js').TopError[]}
   */
  topErrors({ k, windowMs }) {
    return this.#parser.topErrors({ k, windowMs, nowMs: Date.now() });
  }

  /** The latest errors, for readers. */
  get ring() {
    return this.#ring;
  }

  /** @param {ErrorReader} reader removed by `removeReader` */
  addReader(reader) {
    this.#readers.add(reader);
  }

  /** @param {ErrorReader} reader */
  removeReader(reader) {
    this.#readers.delete(reader);
  }

  /** Stops following files and ends all readers. */
  close() {
    this.#closing.abort();
    clearTimeout(this.#flushTimer);
    for (const reader of this.#readers) reader.end();
  }
}
