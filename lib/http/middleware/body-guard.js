/**
 * Watches over a request's body while it comes in and is answered: its share of the memory budget, and
 * how long the client may send nothing. Main thread.
 */
import { HttpError } from '../../internal/util/http-error.js';
import { isEmptyBody } from './body.js';

/** @typedef {import('node:http').IncomingMessage} IncomingMessage */
/** @typedef {import('node:http').ServerResponse} ServerResponse */

/** A body that is read is held twice: as bytes, and as what they say. */
const COPIES = 2;
/** Bodies of up to so many bytes count, and are not refused: what they ask for is. */
const SMALL_BYTES = 64 * 1024;

/**
 * Ends a request whose client sends nothing: its connection is of no use any more.
 * @param {IncomingMessage} req
 * @param {ServerResponse} res
 * @param {number} idleMs
 * @returns {HttpError}
 */
function timedOut(req, res, idleMs) {
  res.setHeader('Connection', 'close');
  res.once('finish', () => req.destroy());
  const message = `No byte of the body came for ${idleMs} ms.`;
  return new HttpError(408, { code: 'body_timeout', message });
}

/**
 * Runs `read` under watch. The failure that comes first is the answer.
 * @template T
 * @param {IncomingMessage} req
 * @param {ServerResponse} res
 * @param {object} options
 * @param {import('../../internal/util/memory-budget.js').MemoryBudget} options.memory
 * @param {string} options.principal whose request it is
 * @param {string} [options.resource] what is short when there is no room; default `bodies`
 * @param {number} options.idleMs how long no byte may come
 * @param {number} options.bytesMax of the body, decoded
 * @param {() => Promise<T>} read has to attach its listeners at once
 * @returns {Promise<T>}
 * @throws {HttpError} 408, 503, and what `read` throws
 */
export async function guardBody(req, res, options, read) {
  const { memory, principal, resource = 'bodies', idleMs, bytesMax } = options;
  if (isEmptyBody(req)) return read();
  const declared = Number(req.headers['content-length'] ?? 0);
  // It is refused as it is; nothing of it is kept.
  if (declared > bytesMax) return read();
  let held = 0;
  const hold = (/** @type {number} */ bytes) => {
    if (bytes <= held) return;
    if (bytes > SMALL_BYTES) memory.check(resource, principal, COPIES * (bytes - held));
    memory.count('bodies', principal, COPIES * (bytes - held));
    held = bytes;
  };
  const plain = (req.headers['content-encoding'] ?? 'identity').toLowerCase() === 'identity';
  // What is compressed may become as large as the limit.
  hold(plain ? declared : bytesMax);
  res.once('close', () => memory.count('bodies', principal, -COPIES * held));
  let came = 0;
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  /** @type {((chunk: Buffer) => void) | undefined} */
  let onData;
  const failure = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(timedOut(req, res, idleMs)), idleMs);
    onData = (chunk) => {
      timer?.refresh();
      came += chunk.length;
      try {
        if (plain && came <= bytesMax) hold(came);
      } catch (error) {
        // What is still to come is thrown away.
        req.removeAllListeners('data').resume();
        reject(error);
      }
    };
    req.on('data', onData);
    req.once('close', () => clearTimeout(timer));
  });
  try {
    return await Promise.race([read(), failure]);
  } finally {
    clearTimeout(timer);
    if (onData !== undefined) req.off('data', onData);
    failure.catch(() => {});
  }
}

/**
 * Cuts the connection of a body that is read as it comes, once its client sends nothing.
 * @param {IncomingMessage} req
 * @param {number} idleMs
 */
export function endWhenIdle(req, idleMs) {
  const timer = setTimeout(() => req.destroy(), idleMs);
  req.on('data', () => timer.refresh());
  req.once('close', () => clearTimeout(timer));
}
