/** Reads a log, plain or gzip, in pieces; memory holds a few pieces at a time. */
import { Readable, pipeline } from 'node:stream';
import { zlib } from '../../internal/util/packages.js';

export const CHUNK_BYTES = 1024 * 1024;

const GZIP_MAGIC = [0x1f, 0x8b];

/**
 * Reads a file in large pieces, the next one while the caller uses the current one. Two buffers
 * alternate: a piece is valid until the next one is requested.
 * @param {import('node:fs/promises').FileHandle} handle at its beginning; stays open
 * @returns {AsyncGenerator<Buffer, void, void>}
 */
export async function* fileChunks(handle) {
  const buffers = [Buffer.allocUnsafe(CHUNK_BYTES), Buffer.allocUnsafe(CHUNK_BYTES)];
  let turn = 0;
  const readNext = () => handle.read(buffers[turn], 0, CHUNK_BYTES, null);
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
    // After an early return the caller must not close the file during a read.
    await next.catch(() => {});
  }
}

/**
 * @param {AsyncIterable<Buffer>} chunks
 * @returns {AsyncGenerator<Buffer, void, void>} the first piece has at least two bytes, unless the input is shorter
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
    if (head.length < GZIP_MAGIC.length) continue;
    yield head;
    head = undefined;
  }
  if (head !== undefined && head.length > 0) yield head;
}

/**
 * @param {Buffer} first
 * @param {AsyncGenerator<Buffer, void, void>} rest
 * @returns {AsyncGenerator<Buffer, void, void>} copies, since the inflater keeps its input
 */
async function* copies(first, rest) {
  yield Buffer.from(first);
  for await (const chunk of rest) yield Buffer.from(chunk);
}

/**
 * Inflates input that begins like gzip, of one member or several; passes other input on unchanged.
 * @param {AsyncIterable<Buffer>} chunks
 * @returns {AsyncGenerator<Buffer, void, void>} each piece is valid until the next is requested
 * @throws {Error} with a `code` of zlib (`Z_DATA_ERROR`, `Z_BUF_ERROR`) for broken input
 */
export async function* plainChunks(chunks) {
  const pieces = withWholeMagic(chunks);
  const { value: first, done } = await pieces.next();
  if (done) return;
  if (GZIP_MAGIC.some((byte, i) => first[i] !== byte)) {
    yield first;
    yield* pieces;
    return;
  }
  const inflated = zlib().createGunzip({ chunkSize: CHUNK_BYTES });
  // The iteration below throws the errors of both.
  pipeline(Readable.from(copies(first, pieces), { highWaterMark: 2 }), inflated, () => {});
  yield* inflated;
}
