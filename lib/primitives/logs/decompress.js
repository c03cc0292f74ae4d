/**
 * The bytes of a log, plain or gzip, in pieces of which only the last one is held in memory.
 */
import { Readable, pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';

export const kChunkBytes = 1024 * 1024;

const kGzipMagic = [0x1f, 0x8b];

/**
 * A file in large pieces. One is read while the one before is dealt with, into two buffers that take
 * turns: a piece is valid until the next one is asked for.
 * @param {import('node:fs/promises').FileHandle} handle from its beginning; it stays open
 * @returns {AsyncGenerator<Buffer, void, void>}
 */
export async function* fileChunks(handle) {
  const buffers = [Buffer.allocUnsafe(kChunkBytes), Buffer.allocUnsafe(kChunkBytes)];
  let turn = 0;
  const readNext = () => handle.read(buffers[turn], 0, kChunkBytes, null);
  let next = readNext();
  try {
    for (;;) {
      const { bytesRead } = await next;
      if (bytesRead === 0) return;
      const chunk = buffers[turn].subarray(0, bytesRead);
      turn = 1 - turn;
      next = readNext();
      yield chunk;
    }
  } finally {
    // A reader that leaves early must not close the file under the read that is under way.
    await next.catch(() => {});
  }
}

/**
 * @param {AsyncIterable<Buffer>} chunks
 * @returns {AsyncGenerator<Buffer, void, void>} with all of the first two bytes in the first piece
 */
async function* withWholeMagic(chunks) {
  /** @type {Buffer | undefined} */
  let head = Buffer.alloc(0);
  for await (const chunk of chunks) {
    if (head === undefined) {
      yield chunk;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length < kGzipMagic.length) continue;
    yield head;
    head = undefined;
  }
  if (head !== undefined && head.length > 0) yield head;
}

/**
 * @param {Buffer} first
 * @param {AsyncGenerator<Buffer, void, void>} rest
 * @returns {AsyncGenerator<Buffer, void, void>} copies: the inflater keeps what it is given
 */
async function* copies(first, rest) {
  yield Buffer.from(first);
  for await (const chunk of rest) yield Buffer.from(chunk);
}

/**
 * Inflates what begins as gzip does, several members in a row included; hands on all else as it is.
 * @param {AsyncIterable<Buffer>} chunks
 * @returns {AsyncGenerator<Buffer, void, void>} each piece valid until the next is asked for
 * @throws {Error} with a `code` of zlib's (`Z_DATA_ERROR`, `Z_BUF_ERROR`) where it is broken
 */
export async function* plainChunks(chunks) {
  const pieces = withWholeMagic(chunks);
  const { value: first, done } = await pieces.next();
  if (done) return;
  if (kGzipMagic.some((byte, i) => first[i] !== byte)) {
    yield first;
    yield* pieces;
    return;
  }
  const inflated = createGunzip({ chunkSize: kChunkBytes });
  // Errors of either side come out of the iteration.
  pipeline(Readable.from(copies(first, pieces), { highWaterMark: 2 }), inflated, () => {});
  yield* inflated;
}
