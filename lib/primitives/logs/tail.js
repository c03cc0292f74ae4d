/**
 * Follows a growing file over rotation and truncation. It polls, since file-system notifications miss
 * both on some file systems.
 */
import { open, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { CHUNK_BYTES } from './decompress.js';

const POLL_MS = 200;
const LINE_FEED = 0x0a;

/**
 * @param {Promise<any>} promise of a file operation
 * @returns {Promise<any>} undefined if the file does not exist
 */
async function ifThere(promise) {
  try {
    return await promise;
  } catch (/** @type {any} */ error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** An open file and its read position. */
class OpenFile {
  /** Whether to skip the bytes up to the next line end. */
  #inLine;
  /** @type {Buffer | undefined} the byte order mark of a UTF-16 file that is not read from its beginning */
  #mark;

  /**
   * @param {import('node:fs/promises').FileHandle} handle
   * @param {number} position
   * @param {Buffer} buffer
   */
  constructor(handle, position, buffer) {
    this.handle = handle;
    this.position = position;
    this.#inLine = position > 0;
    this.buffer = buffer;
  }

  /**
   * @param {import('node:fs/promises').FileHandle} handle
   * @param {number} tailBytes size of the tail: lines that begin in it are read
   * @param {Buffer} buffer
   */
  static async openTail(handle, tailBytes, buffer) {
    const { size } = await handle.stat();
    // The byte before the tail shows whether a line begins there.
    let skipped = size > tailBytes ? size - tailBytes - 1 : 0;
    const head = Buffer.alloc(2);
    const { bytesRead } = skipped > 0 ? await handle.read(head, 0, 2, 0) : { bytesRead: 0 };
    const wide = bytesRead === 2 && [0xfffe, 0xfeff].includes(head.readUInt16BE());
    if (wide) skipped -= skipped % 2;
    const file = new OpenFile(handle, skipped, buffer);
    if (wide && skipped > 0) file.#mark = head;
    return file;
  }

  /**
   * Reads up to the end.
   * @param {(chunk: Buffer) => unknown} onChunk
   * @param {AbortSignal} signal
   */
  async drain(onChunk, signal) {
    while (!signal.aborted) {
      const { bytesRead } = await this.handle.read(this.buffer, 0, CHUNK_BYTES, this.position);
      if (bytesRead === 0) return;
      let chunk = this.buffer.subarray(0, bytesRead);
      const start = this.position;
      this.position += bytesRead;
      if (this.#inLine) {
        const end = this.#lineEnd(chunk, start);
        if (end === -1) continue;
        this.#inLine = false;
        chunk = chunk.subarray(end);
        if (this.#mark !== undefined) chunk = Buffer.concat([this.#mark, chunk]);
      }
      if (chunk.length > 0) await onChunk(chunk);
    }
  }

  /**
   * @param {Buffer} chunk
   * @param {number} start its position in the file
   * @returns {number} the offset after the first line end; -1: there is none
   */
  #lineEnd(chunk, start) {
    if (this.#mark === undefined) return chunk.indexOf(LINE_FEED) + 1 || -1;
    const low = this.#mark[0] === 0xff ? 0 : 1;
    for (let at = start % 2; at + 1 < chunk.length; at += 2) {
      if (chunk[at + low] === LINE_FEED && chunk[at + 1 - low] === 0) return at + 2;
    }
    return -1;
  }
}

/**
 * Reads a file as it grows until `signal` is aborted. Waits for a file that does not exist yet. A
 * file truncated and grown beyond its old size between two polls looks like one that only grew.
 * @param {string} path
 * @param {object} options
 * @param {AbortSignal} options.signal
 * @param {(chunk: Buffer) => unknown} options.onChunk awaited; the chunk is valid until then
 * @param {() => unknown} [options.onRestart] called if the next chunk is the beginning of another file, or of
 *   the same file again
 * @param {() => unknown} [options.onIdle] called at each poll, after the whole file has been read
 * @param {number} [options.tailBytes] from an existing file, read only lines that begin in
 *   the last `tailBytes` bytes; default: all
 * @param {number} [options.pollMs] default 200
 * @param {boolean} [options.background] the wait does not keep the process alive
 * @returns {Promise<void>} rejects if the file cannot be read
 */
export async function followFile(path, options) {
  const { signal, onChunk, onRestart, onIdle, tailBytes = Infinity, pollMs = POLL_MS } = options;
  const ref = options.background !== true;
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  /** @type {OpenFile | undefined} */
  let file;
  let first = true;
  let replaced = false;
  const pause = () => sleep(pollMs, undefined, { signal, ref }).catch(() => {});
  try {
    for (; !signal.aborted; await pause()) {
      if (file === undefined) {
        const handle = await ifThere(open(path, 'r'));
        if (handle !== undefined) {
          file = await OpenFile.openTail(handle, first ? tailBytes : Infinity, buffer);
        }
        first = false;
      }
      if (file !== undefined) {
        await file.drain(onChunk, signal);
        const here = await file.handle.stat();
        const there = await ifThere(stat(path));
        if (replaced) {
          // The writer of the old file had one more interval for its last lines.
          await file.handle.close();
          file = undefined;
          replaced = false;
          await onRestart?.();
        } else if (here.size < file.position) {
          file.position = 0;
          await onRestart?.();
        } else if (there !== undefined && (there.ino !== here.ino || there.dev !== here.dev)) {
          replaced = true;
        }
      }
      await onIdle?.();
    }
  } finally {
    await file?.handle.close();
  }
}
