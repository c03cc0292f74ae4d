/** Where a fork leaves its source. */
import { badRequest } from '../../internal/util/http-error.js';
import { bytesOfMessages, isJson, mediaTypeOf } from './content.js';
import { contentTypeMismatch, streamExists, streamNotFound } from './errors.js';
import { parseOffset } from './offsets.js';
import { segmentsBefore } from './head.js';

/** @typedef {import('./head.js').Head} Head */
/** @typedef {import('../../primitives/kv/namespaces.js').KvNamespace} KvNamespace */

/**
 * @typedef {object} Origin of a fork
 * @property {Pick<Head, 'space' | 'inherited' | 'base' | 'source'>} fields of its head
 * @property {Head} source
 */

/** @param {string} message */
const badOffset = (message) => badRequest('invalid_value', 'stream-fork-offset', message);
/** @param {string} message */
const badSubOffset = (message) => badRequest('invalid_value', 'stream-fork-sub-offset', message);

/**
 * @param {import('./repository.js').StreamRepository} repository
 * @param {KvNamespace} space
 * @param {import('./head.js').Settings & {from: string}} settings
 * @param {Head | undefined} source the stream at `settings.from`
 * @returns {Origin}
 * @throws {import('../../internal/util/http-error.js').HttpError} 400, 404 or 409
 */
export function originOf(repository, space, settings, source) {
  if (source === undefined) throw streamNotFound('stream-forked-from');
  if (source.deleted) {
    throw streamExists('The source was deleted and takes no forks.', 'stream-forked-from');
  }
  const { from: path, type, at, sub = 0 } = settings;
  if (type !== undefined && mediaTypeOf(type) !== mediaTypeOf(source.type)) {
    throw contentTypeMismatch(source.type);
  }
  const position = at === undefined ? source.tail : positionOf(repository, space, source, at);
  const base = sub === 0 ? position : position + subBytes(repository, space, source, position, sub);
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
 * @param {import('./repository.js').StreamRepository} repository
 * @param {KvNamespace} space
 * @param {Head} source
 * @param {string} offset
 * @returns {number}
 */
function positionOf(repository, space, source, offset) {
  const parsed = parseOffset(offset);
  if (parsed === undefined) throw badOffset('Stream-Fork-Offset takes an offset of the source.');
  const start = parsed.space === 0 && parsed.position === 0;
  if (!start && parsed.space !== source.space) {
    throw badOffset('Stream-Fork-Offset takes an offset of the source, not of another stream.');
  }
  if (parsed.position > source.tail) {
    throw badOffset('Stream-Fork-Offset is after the end of the source.');
  }
  if (isJson(source.type) && !repository.isBoundary(space, source, parsed.position)) {
    throw badOffset('Stream-Fork-Offset takes an offset that the server has sent.');
  }
  return parsed.position;
}

/**
 * @param {import('./repository.js').StreamRepository} repository
 * @param {KvNamespace} space
 * @param {Head} source
 * @param {number} position
 * @param {number} sub at least 1
 * @returns {number} bytes of the append at the position that the fork inherits
 */
function subBytes(repository, space, source, position, sub) {
  const [chunk] = repository.read(space, source, position).chunks;
  if (chunk === undefined) throw badSubOffset('The source has no data after Stream-Fork-Offset.');
  const bytes = isJson(source.type) ? bytesOfMessages(chunk, sub) : sub;
  if (bytes !== undefined && bytes <= chunk.length) return bytes;
  throw badSubOffset('Stream-Fork-Sub-Offset is after the end of the append at that offset.');
}
