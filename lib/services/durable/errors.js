/** Refusals of the Durable Streams protocol, with the required headers. */
import { HttpError, badRequest } from '../../internal/util/http-error.js';
import { formatOffset } from './offsets.js';

/** The same answer for an unknown, an expired and another principal's stream. */
export function streamNotFound(param = 'path') {
  return new HttpError(404, { code: 'stream_not_found', param, message: 'No such stream.' });
}

/** @returns {HttpError} 410 for a deleted stream whose data forks still read */
export function streamGone() {
  return new HttpError(410, {
    code: 'stream_gone',
    param: 'path',
    message: 'The stream was deleted; forks still read its data.',
  });
}

/** @returns {HttpError} 410 for an offset of an earlier stream with the same path */
export function offsetGone() {
  return new HttpError(410, {
    code: 'offset_gone',
    param: 'offset',
    message: 'The offset belongs to another stream, which may have had this path before.',
  });
}

/**
 * @param {string} message
 * @param {string} [param]
 * @returns {HttpError} 409 for a path that is in use
 */
export function streamExists(message, param = 'path') {
  return new HttpError(409, { code: 'stream_exists', param, message });
}

/**
 * @param {{space: number, tail: number}} head
 * @returns {HttpError} 409 for an append to a closed stream
 */
export function streamClosed({ space, tail }) {
  return new HttpError(409, {
    code: 'stream_closed',
    message: 'The stream is closed and accepts no more data.',
    headers: { 'Stream-Closed': 'true', 'Stream-Next-Offset': formatOffset(space, tail) },
  });
}

/** @param {string} type content type of the stream */
export function contentTypeMismatch(type) {
  const message = `The stream has the content type ${type}.`;
  return new HttpError(409, { code: 'content_type_mismatch', param: 'content-type', message });
}

/** @param {string} last the largest Stream-Seq so far */
export function streamSeqConflict(last) {
  return new HttpError(409, {
    code: 'stream_seq_conflict',
    param: 'stream-seq',
    message: `Stream-Seq must be greater, byte by byte, than ${JSON.stringify(last)}.`,
  });
}

/** @param {number} epoch current epoch of the producer */
export function staleEpoch(epoch) {
  return new HttpError(403, {
    code: 'producer_fenced',
    param: 'producer-epoch',
    message: `The producer has begun epoch ${epoch}; earlier epochs may not write.`,
    headers: { 'Producer-Epoch': String(epoch) },
  });
}

/** @returns {HttpError} 400 */
export function epochStartsAtZero() {
  return new HttpError(400, {
    code: 'invalid_value',
    param: 'producer-seq',
    message: 'Producer-Seq must be 0 in the first request of an epoch.',
  });
}

/**
 * @param {number} expected
 * @param {number} received
 * @returns {HttpError} 409 for a request that arrived before an earlier one
 */
export function producerGap(expected, received) {
  return new HttpError(409, {
    code: 'producer_seq_gap',
    param: 'producer-seq',
    message: `Producer-Seq ${expected} is missing before ${received}.`,
    headers: {
      'Producer-Expected-Seq': String(expected),
      'Producer-Received-Seq': String(received),
    },
  });
}

/**
 * @param {string} message
 * @param {unknown} [cause]
 * @returns {HttpError} 507 for a limit of streams or their bytes
 */
function streamsFull(message, cause) {
  return new HttpError(507, { code: 'durable_full', type: 'server_error', message, cause });
}

/**
 * @param {string} limit that a request would exceed, by its option
 * @param {{maxStreamsPerPrincipal: number, maxBytesPerPrincipal: number}} options
 * @param {unknown} [cause]
 * @returns {HttpError} 507
 */
export function limitReached(limit, { maxStreamsPerPrincipal, maxBytesPerPrincipal }, cause) {
  /** @type {Record<string, string>} */
  const messages = {
    maxStreamsPerPrincipal: `There are as many streams as there may be: ${maxStreamsPerPrincipal}. Delete some.`,
    maxStreams: 'The server has no room for more streams.',
    maxBytesPerPrincipal: `Streams have at most ${maxBytesPerPrincipal} bytes together; delete some.`,
  };
  return streamsFull(messages[limit] ?? 'The server has no room for more data of streams.', cause);
}

/** @returns {HttpError} 400 for an append without a body that does not close the stream */
export function bodyEmpty() {
  return badRequest('missing_field', null, 'The body is empty.');
}

/** @returns {HttpError} 400 for a body without a content type */
export function typeMissing() {
  return badRequest('missing_field', 'content-type', 'Content-Type is required with a body.');
}
