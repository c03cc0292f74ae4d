/** The record of a stream: its settings and state. Pure functions. */
import { DEFAULT_TYPE, mediaTypeOf } from './content.js';
import { streamExists } from './errors.js';

/** @typedef {import('./producers.js').Producer} Producer */

/**
 * Requested settings of a PUT.
 * @typedef {object} Settings
 * @property {string} [type] content type; default: the source's, or `application/octet-stream`
 * @property {number} [ttlS] idle time after which the stream expires
 * @property {string} [expiresAt] RFC 3339 time at which it expires
 * @property {boolean} closed
 * @property {string} [from] path of the stream to fork
 * @property {string} [at] offset in it; default: its end
 * @property {number} [sub] bytes, or messages of JSON, after that offset; default 0
 */

/**
 * Data that a stream reads: positions `from` up to `to` of the data with an id.
 * @typedef {{id: number, from: number, to: number}} Segment
 */

/**
 * @typedef {object} Head
 * @property {number} id names its data; unique within the principal, never reused
 * @property {number} space of its offsets: its own id, or that of the stream at the root of its forks
 * @property {string} type content type
 * @property {Omit<Settings, 'closed'>} asked
 * @property {number | null} ttlMs
 * @property {number | null} expiresMs Unix time fixed time, not moved by accesses
 * @property {number | null} deadlineMs Unix time at which it expires, at the last write
 * @property {Segment[]} inherited parts that a fork inherits, in order
 * @property {number} base position of its first own byte
 * @property {number} tail position after its last byte
 * @property {{path: string, id: number}} [source] of a fork
 * @property {number} forks number of its forks
 * @property {boolean} closed
 * @property {Producer} [closedBy] the request that closed it
 * @property {boolean} [deleted] deleted, but kept for its forks
 * @property {string} [seq] the largest Stream-Seq
 */

/**
 * @param {Head} head
 * @returns {Segment[]}
 */
export function segmentsOf({ id, inherited, base, tail }) {
  return [...inherited, { id, from: base, to: tail }];
}

/**
 * @param {Head} head
 * @param {number} position
 * @returns {Segment[]} its data before the position
 */
export function segmentsBefore(head, position) {
  return segmentsOf(head)
    .map(({ id, from, to }) => ({ id, from, to: Math.min(to, position) }))
    .filter(({ from, to }) => from < to);
}

/**
 * @param {string | undefined} time
 * @returns {number | null} Unix time in milliseconds
 */
function unixMsOf(time) {
  return time === undefined ? null : Date.parse(time);
}

/**
 * @param {Head} head head of the existing stream
 * @param {Settings} settings
 * @returns {string | undefined} the first setting, by its header, in which a repeated PUT differs;
 *   undefined: none
 */
function differingSetting({ asked, type, closed }, settings) {
  const { from, at, sub = 0 } = settings;
  const wanted = settings.type ?? (from === undefined ? DEFAULT_TYPE : type);
  const same = {
    'content-type': mediaTypeOf(wanted) === mediaTypeOf(type),
    'stream-ttl': settings.ttlS === asked.ttlS,
    'stream-expires-at': unixMsOf(settings.expiresAt) === unixMsOf(asked.expiresAt),
    'stream-closed': settings.closed === closed,
    'stream-forked-from': from === asked.from,
    'stream-fork-offset': at === undefined || at === asked.at,
    'stream-fork-sub-offset': sub === (asked.sub ?? 0),
  };
  return Object.entries(same).find(([, equal]) => !equal)?.[0];
}

/**
 * @param {Head} head head of the existing stream
 * @param {Settings} settings of a PUT
 * @throws {import('../../internal/util/http-error.js').HttpError} 409
 */
export function checkSettings(head, settings) {
  if (head.deleted) throw streamExists('The stream was deleted; forks still read its data.');
  const differing = differingSetting(head, settings);
  if (differing === undefined) return;
  throw streamExists(`The stream is there with another ${differing}.`, differing);
}

/**
 * Expiry of a new stream. A fork without its own settings expires like its source.
 * @param {Settings} settings
 * @param {{ttlMs: number | null, expiresMs: number | null}} fallback
 * @returns {{ttlMs: number | null, expiresMs: number | null}}
 */
export function expiryOf({ ttlS, expiresAt }, fallback) {
  if (ttlS !== undefined) return { ttlMs: ttlS * 1000, expiresMs: null };
  if (expiresAt !== undefined) return { ttlMs: null, expiresMs: unixMsOf(expiresAt) };
  return { ttlMs: fallback.ttlMs, expiresMs: fallback.expiresMs };
}
