/** Start position and result of a read. Pure functions. */
import { badRequest } from '../../internal/util/http-error.js';
import { isJson } from './content.js';
import { offsetGone } from './errors.js';
import { parseOffset } from './offsets.js';

/** @typedef {import('./head.js').Head} Head */

/** @param {string} message */
const badOffset = (message) => badRequest('invalid_value', 'offset', message);

/**
 * @param {Head} head
 * @param {number} from
 * @param {import('./repository.js').Part} part
 * @returns {import('./port.js').Read}
 */
export function readOf(head, from, { chunks, to }) {
  const upToDate = to === head.tail;
  return { head, chunks, from, to, upToDate, closed: head.closed && upToDate };
}

/**
 * @param {Head} head
 * @param {string} offset as sent by the client; `-1`: the beginning; `now`: the end
 * @returns {number}
 * @throws {import('../../internal/util/http-error.js').HttpError} 400, 410
 */
export function positionIn(head, offset) {
  if (offset === '-1') return 0;
  if (offset === 'now') return head.tail;
  const parsed = parseOffset(offset);
  if (parsed === undefined) {
    throw badOffset('offset takes -1, now, or a Stream-Next-Offset of this stream.');
  }
  const { space, position } = parsed;
  if (space === 0 && position === 0) return 0;
  if (space !== head.space) throw offsetGone();
  if (position > head.tail) throw badOffset('offset is after the end of the stream.');
  return position;
}

/**
 * @param {Head} head
 * @param {() => boolean} isBoundary whether an append begins at the position of a read
 * @throws {import('../../internal/util/http-error.js').HttpError} 400
 */
export function checkBoundary(head, isBoundary) {
  if (isJson(head.type) && !isBoundary()) throw badOffset('offset is within a message.');
}
