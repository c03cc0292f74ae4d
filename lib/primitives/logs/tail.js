/**
 * Follows a file that somebody else writes, over rotation (another file takes its name) and
 * truncation. It asks for the file's state at an interval: notifications of file systems miss both
 * on some of them. Ends with its signal.
 */
import { open, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { kChunkBytes } from './decompress.js';

const kPollMs = 200;
const kLineFeed = 0x0a;

/**
 * @param {Promise<any>} promise of something about a file
 * @returns {Promise<any>} undefined where there is no such file
 */
async function ifThere(promise) {
  try {
    return await promise;
  } catch (/** @type {any} */ error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The file that is open, and how much of it has been read. */
class OpenFile {
  /** Whether everything up to the next line end is to be left out. */
  #inLine;

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
   * Reads up to the end.
   * @param {(chunk: Buffer) => unknown} onChunk
   * @param {AbortSignal} signal
   */
  async drain(onChunk, signal) {
    while (!signal.aborted) {
      const { bytesRead } = await this.handle.read(this.buffer, 0, kChunkBytes, this.position);
      if (bytesRead === 0) return;
      this.position += bytesRead;
      let chunk = this.buffer.subarray(0, bytesRead);
      if (this.#inLine) {
        const end = chunk.indexOf(kLineFeed);
        if (end === -1) continue;
        chunk = chunk.subarray(end + 1);
        this.#inLine = false;
      }
      if (chunk.length > 0) await onChunk(chunk);
    }
  }
}

/**
 * Gives a file's bytes as they come, until `signal` is aborted. A file that is not there yet is
 * waited for. A file that was truncated and has grown beyond its old size between two looks cannot
 * be told from one that has only grown.
 * @param {string} path
 * @param {object} options
 * @param {AbortSignal} options.signal
 * @param {(chunk: Buffer) => unknown} options.onChunk a promise is waited for; the chunk is valid
 *   until then
 * @param {() => unknown} [options.onRestart] what comes next is the beginning of another file, or of
 *   this one anew
 * @param {() => unknown} [options.onIdle] everything there is has been given; called at each look
 * @param {number} [options.tailBytes] of what is there already, only the lines that begin in the
 *   last so many bytes; default: all
 * @param {number} [options.pollMs] default 200
 * @param {boolean} [options.background] the wait alone keeps no process alive
 * @returns {Promise<void>} rejects where the file cannot be read
 */
export async function followFile(path, options) {
  const { signal, onChunk, onRestart, onIdle, tailBytes = Infinity, pollMs = kPollMs } = options;
  const ref = options.background !== true;
  const buffer = Buffer.allocUnsafe(kChunkBytes);
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
          const { size } = await handle.stat();
          // One byte more: whether the first line begins there is told by what is before it.
          const skipped = first && size > tailBytes ? size - tailBytes - 1 : 0;
          file = new OpenFile(handle, skipped, buffer);
        }
        first = false;
      }
      if (file !== undefined) {
        await file.drain(onChunk, signal);
        const here = await file.handle.stat();
        const there = await ifThere(stat(path));
        if (replaced) {
          // Its writer has had one more interval to write what it still had.
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
