/** Checks of the options of LogParser. */
import { ManualClock } from '../../internal/time/clock.js';
import { checkInteger, checkMs } from '../../internal/util/validate.js';
import { rangeError, typeError } from '../../internal/util/errors.js';

/**
 * @typedef {RegExp | string} LogPattern a string is the source of a RegExp
 */

/**
 * @typedef {object} LogParserOptions
 * @property {LogFormat[]} [formats] the formats to look for; default: all
 * @property {LogPattern | LogPattern[]} [start] a matching line begins an event. Patterns match
 *   in linear time: no lookaround, no back-references
 * @property {LogPattern | LogPattern[]} [continuation] a matching line belongs to the event
 *   before it. A line that matches no pattern begins an event if there are continuation patterns,
 *   else it belongs to the event before it. Either option turns the grouping of stack traces off;
 *   dates and levels are still read
 * @property {number} [flushMs] pause after which an event under way ends, at the next `push` or
 *   `flush`; default 1000, may be Infinity
 * @property {number} [maxLines] lines kept of an event; default 1000
 * @property {number} [maxBytes] bytes kept of an event; default 262144
 * @property {number} [maxSources] maximum open sources; beyond this the one with the oldest input is
 *   ended; default 1024
 * @property {number} [maxTemplates] templates kept by `topErrors`; beyond this the one with the fewest
 *   errors is removed; default 1000
 * @property {number} [maxWindowMs] the longest window of `topErrors`; default 86400000, a day
 * @property {number} [utcOffsetMinutes] minutes east of UTC of times without a zone; default 0
 * @property {number} [referenceMs] a time without a year is the latest one at most a day after this;
 *   default: the present
 * @property {ManualClock} [clock] for `flushMs`; default: real time
 */

/** @typedef {keyof typeof FORMATS} LogFormat */

/** The bits of core/logs/line/header.h. */
const FORMATS = Object.freeze({
  json: 1,
  timestamped: 2,
  levelled: 4,
  'nginx-error': 8,
  access: 16,
  redis: 32,
  syslog: 64,
  glog: 128,
  logfmt: 256,
  container: 512,
  journald: 1024,
});

const DAY_MS = 24 * 3600 * 1000;

const known = new Set([
  'formats',
  'start',
  'continuation',
  'flushMs',
  'maxLines',
  'maxBytes',
  'maxSources',
  'maxTemplates',
  'maxWindowMs',
  'utcOffsetMinutes',
  'referenceMs',
  'clock',
]);

/** @param {unknown} formats */
function checkFormats(formats = Object.keys(FORMATS)) {
  const takes = `formats takes an array of ${Object.keys(FORMATS).join(', ')}`;
  if (!Array.isArray(formats)) throw typeError(takes);
  let set = 0;
  for (const format of formats) {
    if (typeof format !== 'string') throw typeError(takes);
    if (!Object.hasOwn(FORMATS, format)) throw rangeError(`${takes}, not ${format}`);
    set |= FORMATS[/** @type {LogFormat} */ (format)];
  }
  return set;
}

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {(string | boolean)[]} source, ignoreCase, source, ...
 */
function checkPatterns(name, value) {
  const patterns = value === undefined ? [] : [value].flat();
  return patterns.flatMap((pattern) => {
    if (typeof pattern === 'string') return [pattern, false];
    // `instanceof` would fail for a RegExp of another realm.
    if (Object.prototype.toString.call(pattern) !== '[object RegExp]') {
      throw typeError(`${name} takes a RegExp, the source of one, or an array of them`);
    }
    const { source, flags } = /** @type {RegExp} */ (pattern);
    if (/[yv]/.test(flags)) throw rangeError(`${name} takes no RegExp with the flag y or v`);
    return [source, flags.includes('i')];
  });
}

/**
 * @param {LogParserOptions} options
 * @throws {TypeError | RangeError} naming the wrong option and its valid values
 */
export function checkParserOptions(options) {
  for (const key of Object.keys(options)) {
    if (!known.has(key)) {
      throw typeError(`LogParser has no option ${key}; it takes ${[...known].join(', ')}`);
    }
  }
  const { clock } = options;
  if (clock !== undefined && !(clock instanceof ManualClock)) {
    throw typeError('clock takes a ManualClock');
  }
  return {
    formats: checkFormats(options.formats),
    start: checkPatterns('start', options.start),
    continuation: checkPatterns('continuation', options.continuation),
    flushMs: checkMs('flushMs', options.flushMs, { fallback: 1000, infinite: true }),
    maxLines: checkInteger('maxLines', options.maxLines, { max: 1e7, fallback: 1000 }),
    maxBytes: checkInteger('maxBytes', options.maxBytes, {
      min: 64,
      max: 1 << 28,
      fallback: 1 << 18,
    }),
    maxSources: checkInteger('maxSources', options.maxSources, { max: 1e5, fallback: 1024 }),
    maxTemplates: checkInteger('maxTemplates', options.maxTemplates, { max: 1e5, fallback: 1000 }),
    maxWindowMs: checkInteger('maxWindowMs', options.maxWindowMs, {
      max: 1e13,
      fallback: DAY_MS,
    }),
    utcOffsetMinutes: checkInteger('utcOffsetMinutes', options.utcOffsetMinutes, {
      min: -1439,
      max: 1439,
      fallback: 0,
    }),
    referenceMs: checkInteger('referenceMs', options.referenceMs, {
      min: 0,
      max: 8.64e15,
      fallback: Date.now(),
    }),
    clock,
  };
}
