/** @typedef {import('./port.js').Read} Read */

/**
 * A read and all later ones, up to the end of the stream.
 * @param {Read} first
 * @param {(before: Read) => Promise<Read>} next see `DurablePort.next`
 * @param {() => boolean} isOver whether the reader has disconnected or the gateway is closing
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
