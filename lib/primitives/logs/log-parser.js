/**
 * Reads logs: bytes of any number of sources in, events out, errors counted by what they say.
 *
 * Lines, grouping, formats and templates are native; every call is synchronous, and a call takes
 * as many bytes as there are. `end()` ends it, after which it may go on with new input.
 */
import native from '../../internal/native/addon.js';
import { checkInteger, checkOptions, checkString } from '../../internal/util/validate.js';
import { checkParserOptions } from './parser-options.js';
import { monotonicClock } from '../../internal/time/clock.js';
import { rangeError, typeError } from '../../internal/util/errors.js';

/** @typedef {'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'} LogLevel */

/**
 * @typedef {object} LogEvent
 * @property {number | null} timestamp milliseconds since 1970; null where the first line has no
 *   date (a time of day alone is not one)
 * @property {LogLevel | null} level null where neither a line nor a stack trace tells
 * @property {string} source as given to `push`
 * @property {string} message its text without the date and level that its first line begins with;
 *   of a structured line its message
 * @property {string[]} lines as they came, without line ends and colours; U+FFFD for what is no
 *   UTF-8
 * @property {true} [malformed] one of its lines is no UTF-8, or broken JSON: it begins like an object
 *   and is none, or, where `formats` is `['json']`, is neither JSON nor of a stack trace
 * @property {true} [truncated] lines or bytes beyond `maxLines` and `maxBytes` were left out
 */

/**
 * @typedef {object} LogStats
 * @property {number} bytes
 * @property {number} lines blank ones included
 * @property {number} events
 * @property {number} errors events of level `error` or `fatal`
 * @property {number} malformed lines
 * @property {number} truncated events
 */

/**
 * @typedef {object} TopError
 * @property {string} template the message, `<*>` for what varies
 * @property {number} count
 * @property {number} firstMs of those counted, milliseconds since 1970
 * @property {number} lastMs
 * @property {string} sample the first message of the template
 */

/** In the order of core/log_event.h. */
export const logLevels = Object.freeze(
  /** @type {(LogLevel | null)[]} */ ([null, 'trace', 'debug', 'info', 'warn', 'error', 'fatal']),
);

const kAllEvents = 0;
const kNoEvents = logLevels.length;
const kFieldsPerEvent = 6;
const kFieldsPerError = 5;
const kMalformed = 1;
const kTruncated = 2;
const kTopMax = 10_000;

/** What is known of a source. */
class Source {
  /** The first half of a surrogate pair that the last string ended in. */
  carry = '';

  /**
   * @param {number} id
   * @param {string} name
   */
  constructor(id, name) {
    this.id = id;
    this.name = name;
  }
}

/**
 * @param {unknown} chunk
 * @returns {string | Uint8Array}
 */
function checkChunk(chunk) {
  // Not instanceof: the bytes may be of another realm.
  if (
    typeof chunk !== 'string' &&
    Object.prototype.toString.call(chunk) !== '[object Uint8Array]'
  ) {
    throw typeError('chunk takes a string or a Uint8Array');
  }
  return /** @type {string | Uint8Array} */ (chunk);
}

/** See the head of this file. */
export class LogParser {
  #native;
  #nowMs;
  #maxSources;
  #maxWindowMs;
  #nextId = 1;
  /** @type {Map<string, Source>} the one heard of last comes last */
  #sources = new Map();
  /** @type {Map<number, string>} */
  #names = new Map();

  /**
   * @param {import('./parser-options.js').LogParserOptions} [options]
   * @throws {TypeError | RangeError} naming the option at fault and what it takes
   */
  constructor(options) {
    const checked = checkParserOptions(checkOptions('LogParser', options));
    const { clock } = checked;
    this.#maxSources = checked.maxSources;
    this.#maxWindowMs = checked.maxWindowMs;
    this.#nowMs = monotonicClock(clock);
    this.#native = new native.LogParser(checked);
    const problem = this.#native.problem();
    if (problem !== '') {
      throw rangeError(`start and continuation take patterns of linear time; ${problem}`);
    }
  }

  /**
   * Takes the next bytes of a source, cut wherever they are.
   * @param {string | Uint8Array} chunk
   * @param {{source?: string}} [options] default `''`
   * @returns {LogEvent[]} those that the chunk completes, and those that silence has ended
   */
  push(chunk, options) {
    return this.#push(chunk, options, kAllEvents);
  }

  /**
   * As `push`, for a log of which only the sums are wanted: events count in `stats` and
   * `topErrors`, and none of them is made an object of, which takes most of the time.
   * @param {string | Uint8Array} chunk
   * @param {{source?: string}} [options]
   */
  count(chunk, options) {
    this.#push(chunk, options, kNoEvents);
  }

  /**
   * As `push`, but gives only events of level `error` and `fatal`.
   * @param {string | Uint8Array} chunk
   * @param {{source?: string}} [options]
   * @returns {LogEvent[]}
   */
  errors(chunk, options) {
    return this.#push(chunk, options, logLevels.indexOf('error'));
  }

  /**
   * @param {unknown} chunk
   * @param {{source?: string} | undefined} options
   * @param {number} least
   */
  #push(chunk, options, least) {
    const { source: name = '' } = checkOptions('options', options);
    const checked = checkChunk(chunk);
    const source = this.#sourceOf(checkString('source', name));
    const bytes = this.#bytesOf(checked, source);
    const { id } = source;
    const found = this.#native.push(id, bytes, this.#nowMs(), Date.now(), least);
    const evicted = this.#evict(least);
    return evicted === undefined ? this.#events(found) : this.#events(found).concat(evicted);
  }

  /**
   * @param {string | Uint8Array} chunk
   * @param {Source} source
   * @returns {Uint8Array}
   */
  #bytesOf(chunk, source) {
    if (typeof chunk !== 'string') return chunk;
    let text = source.carry + chunk;
    source.carry = '';
    // Half a pair would become a replacement character; its other half may be coming.
    if (/[\uD800-\uDBFF]$/.test(text)) {
      source.carry = text.slice(-1);
      text = text.slice(0, -1);
    }
    return Buffer.from(text);
  }

  /** @param {string} name */
  #sourceOf(name) {
    let source = this.#sources.get(name);
    if (source === undefined) {
      source = new Source(this.#nextId++, name);
      this.#names.set(source.id, name);
    } else {
      this.#sources.delete(name);
    }
    this.#sources.set(name, source);
    return source;
  }

  /**
   * Ends the source that was silent for longest, if there are too many.
   * @param {number} least
   */
  #evict(least) {
    if (this.#sources.size <= this.#maxSources) return undefined;
    const [oldest] = this.#sources.values();
    const events = this.#endSource(oldest, least);
    this.#native.forget(oldest.id);
    this.#sources.delete(oldest.name);
    this.#names.delete(oldest.id);
    return events;
  }

  /**
   * Gives what silence has ended, without new input.
   * @returns {LogEvent[]}
   */
  flush() {
    return this.#events(this.#native.flush(this.#nowMs(), Date.now(), kAllEvents));
  }

  /**
   * When `flush` next has something to give, as far as is known now: of the clock, or of
   * `performance.now()`. Infinity for never.
   * @returns {number}
   */
  nextFlushMs() {
    return this.#native.nextDeadlineMs();
  }

  /**
   * The input is over: a last line without its end counts, and events under way are given.
   * @param {{source?: string}} [options] default: all sources
   * @returns {LogEvent[]}
   */
  end(options) {
    const { source: name } = checkOptions('options', options);
    if (name !== undefined) {
      const source = this.#sources.get(checkString('source', name));
      return source === undefined ? [] : this.#endSource(source, kAllEvents);
    }
    return [...this.#sources.values()].flatMap((source) => this.#endSource(source, kAllEvents));
  }

  /**
   * @param {Source} source
   * @param {number} least
   */
  #endSource(source, least) {
    const wallMs = Date.now();
    /** @type {LogEvent[]} */
    let events = [];
    if (source.carry !== '') {
      source.carry = '';
      const half = Buffer.from('\uFFFD');
      events = this.#events(this.#native.push(source.id, half, this.#nowMs(), wallMs, least));
    }
    return events.concat(this.#events(this.#native.endSource(source.id, wallMs, least)));
  }

  /**
   * What was read so far.
   * @param {{source?: string}} [options] of one source; default: of all that ever were
   * @returns {LogStats}
   */
  stats(options) {
    const { source: name } = checkOptions('options', options);
    let id = -1;
    if (name !== undefined) id = this.#sources.get(checkString('source', name))?.id ?? 0;
    const [bytes, lines, events, errors, malformed, truncated] = this.#native.stats(id);
    return { bytes, lines, events, errors, malformed, truncated };
  }

  /**
   * The most frequent errors (level `error` or `fatal`) by what they say. Their messages are grouped
   * by template (Drain: He et al., ICWS 2017). The most frequent come first, of equals by template.
   *
   * An error without a date counts as of the last one that its source gave; failing that, as of
   * the newest of all; failing that, as of when it was read.
   * @param {object} [options]
   * @param {number} [options.k] how many at most; default 10
   * @param {number} [options.windowMs] only errors of the last so many milliseconds, those in
   *   (nowMs - windowMs, nowMs]; default: all that were ever read
   * @param {number} [options.nowMs] default: the newest timestamp of any event
   * @returns {TopError[]}
   */
  topErrors(options) {
    const { k, windowMs, nowMs } = checkOptions('options', options);
    const most = checkInteger('k', k, { max: kTopMax, fallback: 10 });
    const window =
      windowMs === undefined || windowMs === Infinity
        ? -1
        : checkInteger('windowMs', windowMs, { max: this.#maxWindowMs });
    const newest = this.#native.newestMs();
    const now = checkInteger('nowMs', nowMs, {
      min: -8.64e15,
      max: 8.64e15,
      fallback: Number.isNaN(newest) ? Date.now() : newest,
    });
    const flat = this.#native.topErrors(most, window, now);
    /** @type {TopError[]} */
    const top = [];
    for (let at = 0; at < flat.length; at += kFieldsPerError) {
      const [template, count, firstMs, lastMs, sample] = flat.slice(at, at + kFieldsPerError);
      top.push({ template, count, firstMs, lastMs, sample });
    }
    return top;
  }

  /**
   * @param {any[]} flat see native/addon/bindings/log_parser_wrap.h
   * @returns {LogEvent[]}
   */
  #events(flat) {
    /** @type {LogEvent[]} */
    const events = [];
    for (let at = 0; at < flat.length; at += kFieldsPerEvent) {
      const text = /** @type {string} */ (flat[at + 3]);
      const message = /** @type {string | number} */ (flat[at + 4]);
      const flags = /** @type {number} */ (flat[at + 5]);
      /** @type {LogEvent} */
      const event = {
        timestamp: Number.isNaN(flat[at]) ? null : flat[at],
        level: logLevels[flat[at + 1]],
        source: /** @type {string} */ (this.#names.get(flat[at + 2])),
        message: typeof message === 'number' ? text.slice(message) : message,
        lines: text.split('\n'),
      };
      if ((flags & kMalformed) !== 0) event.malformed = true;
      if ((flags & kTruncated) !== 0) event.truncated = true;
      events.push(event);
    }
    return events;
  }
}
