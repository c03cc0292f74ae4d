/**
 * The gateway's logs: its own, those of engines that it follows, and those that are sent to it, all
 * through one parser; and who reads the errors of them. Main thread. `close()` ends it.
 */
import pino from 'pino';
import { ErrorRing } from './ring-buffer.js';
import { LogParser } from '../../primitives/logs/log-parser.js';
import { followFile } from '../../primitives/logs/tail.js';
import { plainChunks } from '../../primitives/logs/decompress.js';

/** Of an event: enough for a stack trace; a thousand of them are kept. */
const kLinesMax = 200;
const kBytesMax = 16 * 1024;
/** Of a followed file, what is read of that which is there already. */
const kTailBytes = 16 * 1024 * 1024;
const kStreamsMax = 100;

/**
 * A reader of the errors: `pump` when there is a new one, `end` when the service closes.
 * @typedef {{pump: () => void, end: () => void}} ErrorReader
 */

/** See the head of this file. */
export class LogService {
  #parser = new LogParser({ maxLines: kLinesMax, maxBytes: kBytesMax });
  #ring = new ErrorRing();
  /** @type {Set<ErrorReader>} */
  #readers = new Set();
  #closing = new AbortController();
  /** @type {NodeJS.Timeout | undefined} */
  #flushTimer;
  #uploads = 0;
  /** What the sources of uploads under way are called. @type {Map<string, string>} */
  #labels = new Map();
  #own;
  #given;

  /**
   * @param {object} options
   * @param {import('../../internal/util/logger.js').Logger} options.logger which goes on getting everything
   * @param {string[]} options.files to follow
   */
  constructor(options) {
    this.#given = options.logger;
    this.#own = pino(
      { base: { name: 'sluice' } },
      { write: (/** @type {string} */ line) => this.#take(this.#errorsOf(line, 'sluice')) },
    );
    for (const file of options.files) this.#follow(file);
  }

  /**
   * The logger as it was given, of which the parser gets the errors. Only those: a line for each job
   * that went well would be parsed for nothing.
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
        this.#own.error(...line);
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

  /** @param {import('../../primitives/logs/log-parser.js').LogEvent[]} events of any source: silence ends others', too */
  #take(events) {
    let any = false;
    for (const event of events) {
      if (event.level !== 'error' && event.level !== 'fatal') continue;
      const label = this.#labels.get(event.source);
      this.#ring.add(label === undefined ? event : { ...event, source: label });
      any = true;
    }
    if (any) for (const stream of this.#readers) stream.pump();
    this.#scheduleFlush();
  }

  /** What silence ends must come although nothing else does. */
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
    try {
      await followFile(file, {
        signal,
        tailBytes: kTailBytes,
        background: true,
        onChunk: (chunk) => this.#take(this.#errorsOf(chunk, file)),
        onRestart: () => this.#take(this.#parser.end({ source: file })),
      });
    } catch (/** @type {any} */ err) {
      this.#given.error({ err, file }, 'log file cannot be followed');
    }
  }

  /**
   * Reads a log that is sent, at the pace at which it is parsed.
   * @param {AsyncIterable<Buffer>} chunks plain or gzip
   * @param {string} label what its events' source is called
   * @returns {Promise<import('../../primitives/logs/log-parser.js').LogStats>}
   */
  async read(chunks, label) {
    this.#uploads += 1;
    // Two that are sent at once under one name must not be taken for one.
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

  /** Whether another reader may come. */
  get hasRoom() {
    return this.#readers.size < kStreamsMax;
  }

  /** The latest errors, for readers. */
  get ring() {
    return this.#ring;
  }

  /** @param {ErrorReader} reader which `removeReader` takes off again */
  addReader(reader) {
    this.#readers.add(reader);
  }

  /** @param {ErrorReader} reader */
  removeReader(reader) {
    this.#readers.delete(reader);
  }

  /** Follows nothing any more, and ends every stream. */
  close() {
    this.#closing.abort();
    clearTimeout(this.#flushTimer);
    for (const stream of this.#readers) stream.end();
  }
}
