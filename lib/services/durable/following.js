/** @typedef {import('./port.js').Read} Read */

/**
 * A read and all that follow it, up to the end of the stream.
 * @param {Read} first
 * @param {(before: Read) => Promise<Read>} next as `DurablePort.next`
 * @param {() => boolean} isOver whether the reader has left, or the gateway closes
 * @returns {AsyncGenerator<Read>}
 */
export async function* following(first, next, isOver) {
  let read = first;
  for (;;) {
    yield read;
    if (read.closed || isOver()) return;
    const { to } = read;
    read = await next(read);
    if (read.to === to && !read.closed) return;
  }
}
