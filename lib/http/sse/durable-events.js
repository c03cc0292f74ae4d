import { bodyOf, isJson, isText } from '../../services/durable/content.js';
import { PacedWriter } from './paced-writer.js';
import { formatOffset } from '../../services/durable/offsets.js';
import { writeStreamHead } from './head.js';

/** @typedef {import('../../services/durable/port.js').Read} Read */

/**
 * Client libraries of the protocol expect no space after the colon, and remove one if it is
 * present, so only a line that begins with a space gets an extra one.
 * @param {string} event
 * @param {string} data
 * @returns {string}
 */
function frameOf(event, data) {
  const lines = data
    .split(/\r\n|\r|\n/)
    .map((line) => `data:${line.startsWith(' ') ? ' ' : ''}${line}\n`);
  return `event: ${event}\n${lines.join('')}\n`;
}

/**
 * @param {Buffer} bytes
 * @returns {number} bytes of the incomplete character at the end
 */
function incompleteBytes(bytes) {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back];
    if (byte < 0x80) return 0;
    if (byte < 0xc0) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return length > back ? back : 0;
  }
  return 0;
}

/**
 * Makes the frames for reads of one stream: an `event: data` if there is data, and an `event: control`
 * with the offset after it. A character that is split between appends is sent whole, with the next append.
 */
export class DurableFrames {
  #type;
  #cursor;
  /** Bytes of an incomplete character. */
  #held = Buffer.alloc(0);

  /**
   * @param {string} type content type of the stream
   * @param {() => string} cursor the next cursor
   */
  constructor(type, cursor) {
    this.#type = type;
    this.#cursor = cursor;
  }

  /** @returns {Record<string, string>} headers of the answer */
  get headers() {
    return isText(this.#type) ? {} : { 'Stream-SSE-Data-Encoding': 'base64' };
  }

  /**
   * @param {Read} read
   * @returns {string}
   */
  of(read) {
    const { head, to, upToDate, closed } = read;
    const data = read.chunks.length === 0 && !closed ? '' : this.#dataOf(read);
    const control = {
      streamNextOffset: formatOffset(head.space, to - this.#held.length),
      ...(closed ? { streamClosed: true } : { streamCursor: this.#cursor() }),
      ...(upToDate && { upToDate }),
    };
    return (data && frameOf('data', data)) + frameOf('control', JSON.stringify(control));
  }

  /** @param {Read} read */
  #dataOf({ chunks, closed }) {
    if (isJson(this.#type)) {
      return chunks.length === 0 ? '' : bodyOf(this.#type, chunks).toString();
    }
    if (!isText(this.#type)) return Buffer.concat(chunks).toString('base64');
    const bytes = Buffer.concat([this.#held, ...chunks]);
    const end = bytes.length - (closed ? 0 : incompleteBytes(bytes));
    this.#held = bytes.subarray(end);
    return bytes.toString('utf8', 0, end);
  }
}

/**
 * Streams the reads of a stream as server-sent events, at the pace of the socket. Ends after `lifeMs`,
 * when the client disconnects, and at the end of the stream. Main thread.
 * @param {import('node:http').ServerResponse} res with nothing written yet
 * @param {object} options
 * @param {DurableFrames} options.frames
 * @param {(signal: AbortSignal) => AsyncIterable<Read>} options.reads
 * @param {number} options.lifeMs after which the client must reconnect
 * @param {number} options.heartbeatMs of silence before a comment is sent
 * @param {number} options.stallMs time-out of a full socket
 */
export async function streamDurable(res, { frames, reads, lifeMs, heartbeatMs, stallMs }) {
  const writer = new PacedWriter(res, { heartbeatMs, stallMs });
  const ends = new AbortController();
  const life = setTimeout(() => ends.abort(), lifeMs).unref();
  writer.gone.addEventListener('abort', () => ends.abort(), { once: true });
  writeStreamHead(res);
  writer.start();
  try {
    for await (const read of reads(ends.signal)) await writer.write(frames.of(read));
  } catch (/** @type {any} */ error) {
    // The stream may have been deleted; the client's next request gets the status.
    if (!writer.gone.aborted && error?.status === undefined) throw error;
  } finally {
    clearTimeout(life);
    writer.stop();
  }
  res.end();
}
