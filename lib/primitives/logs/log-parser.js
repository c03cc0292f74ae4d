/** LogParser: parses logs of any number of sources into events and counts their errors. */
import native from '../../internal/native/addon.js';
import { checkInteger, checkOptions, checkString } from '../../internal/util/validate.js';
import { checkParserOptions } from './parser-options.js';
import { monotonicClock } from '../../internal/time/clock.js';
import { rangeError, typeError } from '../../internal/util/errors.js';

/** @typedef {'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'} LogLevel */

/**
 * @typedef {object} LogEvent
 * @property {number | null} timestamp milliseconds since 1970; null without a date (a time of day
 *   only does not count)
 * @property {LogLevel | null} level of its header, its stack trace or its envelope; null without one
 * @property {string} source as given to `push`
 * @property {string} message the text after the header, or the message of a structured line
 * @property {string[]} lines as read, without line ends, colours and container envelopes; U+FFFD for
 *   invalid UTF-8
 * @property {string} [container] the name in a prefix of Compose or kubectl, the unit of journald
 * @property {true} [malformed] one of its lines is invalid UTF-8 or broken JSON. With
 *   `formats: ['json']` every line that is not JSON or part of a stack trace counts as broken
 * @property {true} [truncated] lines or bytes beyond `maxLines` and `maxBytes` were dropped
 */

/**
 * @typedef {object} LogStats
 * @property {number} bytes
 * @property {number} lines including blank ones
 * @property {number} events
 * @property {number} errors events of level `error` or `fatal`
 * @property {number} malformed lines
 * @property {number} truncated events
 */

/**
 * @typedef {object} TopError
 * @property {string} template the message with `<*>` for its variable parts
 * @property {number} count
 * @property {number} firstMs milliseconds since 1970 of the first error counted
 * @property {number} lastMs of the last one
 * @property {string} sample the first message of the template
 */

/** In the order of core/logs/line/event.h. */
const logLevels = Object.freeze(
  /** @type {(LogLevel | null)[]} */ ([null, 'trace', 'debug', 'info', 'warn', 'error', 'fatal']),
);

const ALL_EVENTS = 0;
const NO_EVENTS = logLevels.length;
const ERRORS = logLevels.indexOf('error');
const FIELDS_PER_EVENT = 6;
const FIELDS_PER_ERROR = 5;
const MALFORMED = 1;
const TRUNCATED = 2;
const CONTAINER = 4;
const TOP_MAX = 10_000;
const SOURCE_OPTIONS = Object.freeze(['source']);
const TOP_OPTIONS = Object.freeze(['k', 'windowMs', 'nowMs']);

/** A source that is being read. */
class Source {
  /** The high surrogate at the end of the last string, whose other half may follow. */
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
  // `instanceof` would fail for an array of another realm.
  if (
    typeof chunk !== 'string' &&
    Object.prototype.toString.call(chunk) !== '[object Uint8Array]'
  ) {
    throw typeError('chunk takes a string or a Uint8Array');
  }
  return /** @type {string | Uint8Array} */ (chunk);
}

/**
 * Parses logs: takes the bytes of any number of sources, returns events, and counts errors by
 * template. All calls are synchronous. Lines, headers, stack traces and templates are native.
 *
 * A line with a header (a date, a level, a JSON object, ...) begins an event; a stack trace and
 * indented lines belong to the event before them. An event ends when the next one begins, or after a
 * pause of `flushMs`: call `flush()` at `nextFlushMs()` if there may be no more input. After `end()` a
 * parser accepts new input.
 */
export class LogParser {
  #native;
  #nowMs;
  #maxSources;
  #maxWindowMs;
  #nextId = 1;
  /** @type {Map<string, Source>} by name, in the order of their last input */
  #sources = new Map();
  /** @type {Map<number, string>} */
  #names = new Map();

  /**
   * @param {import('./parser-options.js').LogParserOptions} [options]
   * @throws {TypeError | RangeError} naming the wrong option and its valid values
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
   * Parses the next piece of a source, which may end anywhere.
   * @param {string | Uint8Array} chunk UTF-8, or UTF-16 with a byte order mark
   * @param {{source?: string}} [options] default `''`
   * @returns {LogEvent[]} the events that the chunk completes, and events of any source whose pause
   *   is over
   */
  push(chunk, options) {
    return this.#push(chunk, options, ALL_EVENTS);
  }

  /**
   * Parses like `push`, but returns nothing: events are only counted in `stats` and `topErrors`. Much
   * faster, since no objects are made.
   * @param {string | Uint8Array} chunk
   * @param {{source?: string}} [options]
   */
  count(chunk, options) {
    this.#push(chunk, options, NO_EVENTS);
  }

  /**
   * Parses like `push`, but returns only events of level `error` and `fatal`.
   * @param {string | Uint8Array} chunk
   * @param {{source?: string}} [options]
   * @returns {LogEvent[]}
   */
  errors(chunk, options) {
    return this.#push(chunk, options, ERRORS);
  }

  /**
   * @param {unknown} chunk
   * @param {{source?: string} | undefined} options
   * @param {number} least
   */
  #push(chunk, options, least) {
    const { source: name = '' } = checkOptions('options', options, SOURCE_OPTIONS);
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
   * If there are too many sources, ends the one with the oldest input.
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
   * @returns {LogEvent[]} the events whose pause is over
   */
  flush() {
    return this.#events(this.#native.flush(this.#nowMs(), Date.now(), ALL_EVENTS));
  }

  /**
   * End of the next pause.
   * @returns {number} milliseconds of the clock, or of `performance.now()`; Infinity: never
   */
  nextFlushMs() {
    return this.#native.nextDeadlineMs();
  }

  /**
   * Ends the input: a last line without a line end counts.
   * @param {{source?: string}} [options] default: all sources
   * @returns {LogEvent[]}
   */
  end(options) {
    const { source: name } = checkOptions('options', options, SOURCE_OPTIONS);
    if (name !== undefined) {
      const source = this.#sources.get(checkString('source', name));
      return source === undefined ? [] : this.#endSource(source, ALL_EVENTS);
    }
    return [...this.#sources.values()].flatMap((source) => this.#endSource(source, ALL_EVENTS));
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
   * @param {{source?: string}} [options] default: all sources, including removed ones
   * @returns {LogStats}
   */
  stats(options) {
    const { source: name } = checkOptions('options', options, SOURCE_OPTIONS);
    let id = -1;
    if (name !== undefined) id = this.#sources.get(checkString('source', name))?.id ?? 0;
    const [bytes, lines, events, errors, malformed, truncated] = this.#native.stats(id);
    return { bytes, lines, events, errors, malformed, truncated };
  }

  /**
   * The most frequent errors (level `error` or `fatal`), grouped by template (Drain: He et al., ICWS
   * 2017), in descending order of count, then by template.
   *
   * An error without a date takes the time of the last event of its source, else the newest time of
   * any event, else the time of its reading.
   * @param {object} [options]
   * @param {number} [options.k] maximum number to return; default 10
   * @param {number} [options.windowMs] counts errors in (nowMs - windowMs, nowMs]; default: all
   * @param {number} [options.nowMs] default: the newest time of any event
   * @returns {TopError[]}
   */
  topErrors(options) {
    const { k, windowMs, nowMs } = checkOptions('options', options, TOP_OPTIONS);
    const most = checkInteger('k', k, { max: TOP_MAX, fallback: 10 });
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
    for (let at = 0; at < flat.length; at += FIELDS_PER_ERROR) {
      const [template, count, firstMs, lastMs, sample] = flat.slice(at, at + FIELDS_PER_ERROR);
      top.push({ template, count, firstMs, lastMs, sample });
    }
    return top;
  }

  /**
   * @param {any[]} flat as documented in native/addon/bindings/logs/parser_wrap.h
   * @returns {LogEvent[]}
   */
  #events(flat) {
    /** @type {LogEvent[]} */
    const events = [];
    for (let at = 0; at < flat.length;) {
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
      if ((flags & MALFORMED) !== 0) event.malformed = true;
      if ((flags & TRUNCATED) !== 0) event.truncated = true;
      at += FIELDS_PER_EVENT;
      if ((flags & CONTAINER) !== 0) {
        event.container = flat[at];
        at += 1;
      }
      events.push(event);
    }
    return events;
  }
}
