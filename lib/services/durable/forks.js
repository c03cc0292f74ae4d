/** The position at which a fork leaves its source. */
import { badRequest } from '../../internal/util/http-error.js';
import { bytesOfMessages, isJson, mediaTypeOf } from './content.js';
import { contentTypeMismatch, streamExists, streamNotFound } from './errors.js';
import { parseOffset } from './offsets.js';
import { segmentsBefore } from './head.js';

/** @typedef {import('./head.js').Head} Head */

/** @typedef {import('./head.js').Settings & {from: string}} ForkSettings */

/**
 * @typedef {object} Origin of a fork
 * @property {Pick<Head, 'space' | 'inherited' | 'base' | 'source'>} fields of its head
 * @property {Head} source
 */

/** @typedef {{source: Head, settings: ForkSettings, position: number}} Fork `position`: the requested one */

/** @param {string} message */
const badOffset = (message) => badRequest('invalid_value', 'stream-fork-offset', message);
/** @param {string} message */
const badSubOffset = (message) => badRequest('invalid_value', 'stream-fork-sub-offset', message);

/**
 * @param {Head | undefined} source the stream at `settings.from`
 * @param {ForkSettings} settings
 * @returns {Fork}
 * @throws {import('../../internal/util/http-error.js').HttpError} 400, 404 or 409
 */
export function forkPositionOf(source, settings) {
  if (source === undefined) throw streamNotFound('stream-forked-from');
  if (source.deleted) {
    throw streamExists('The source was deleted and takes no forks.', 'stream-forked-from');
  }
  const { type, at } = settings;
  if (type !== undefined && mediaTypeOf(type) !== mediaTypeOf(source.type)) {
    throw contentTypeMismatch(source.type);
  }
  const position = at === undefined ? source.tail : positionOf(source, at);
  return { source, settings, position };
}

/**
 * @param {Fork} fork
 * @param {object} data of the source
 * @param {boolean} data.isBoundary whether an append begins at the position
 * @param {() => Buffer | undefined} data.chunk the append there; undefined: the end of the stream
 * @returns {Origin}
 * @throws {import('../../internal/util/http-error.js').HttpError} 400
 */
export function originAt({ source, settings, position }, { isBoundary, chunk }) {
  if (isJson(source.type) && !isBoundary) {
    throw badOffset('Stream-Fork-Offset takes an offset that the server has sent.');
  }
  const { from: path, sub = 0 } = settings;
  const base = sub === 0 ? position : position + subBytes(source, chunk(), sub);
  return {
    source,
    fields: {
      space: source.space,
      inherited: segmentsBefore(source, base),
      base,
      source: { path, id: source.id },
    },
  };
}

/**
 * @param {Head} source
 * @param {string} offset
 * @returns {number}
 */
function positionOf(source, offset) {
  const parsed = parseOffset(offset);
  if (parsed === undefined) throw badOffset('Stream-Fork-Offset takes an offset of the source.');
  const start = parsed.space === 0 && parsed.position === 0;
  if (!start && parsed.space !== source.space) {
    throw badOffset('Stream-Fork-Offset takes an offset of the source, not of another stream.');
  }
  if (parsed.position > source.tail) {
    throw badOffset('Stream-Fork-Offset is after the end of the source.');
  }
  return parsed.position;
}

/**
 * @param {Head} source
 * @param {Buffer | undefined} chunk an append
 * @param {number} sub at least 1
 * @returns {number} bytes of it that the fork inherits
 */
function subBytes(source, chunk, sub) {
  if (chunk === undefined) throw badSubOffset('The source has no data after Stream-Fork-Offset.');
  const bytes = isJson(source.type) ? bytesOfMessages(chunk, sub) : sub;
  if (bytes !== undefined && bytes <= chunk.length) return bytes;
  throw badSubOffset('Stream-Fork-Sub-Offset is after the end of the append at that offset.');
}
