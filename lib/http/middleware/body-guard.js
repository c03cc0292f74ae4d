/**
 * Guards a request's body while it is received and answered: reserves its memory in the budget, and
 * limits the client's silence. Main thread.
 */
import { HttpError } from '../../internal/util/http-error.js';
import { isEmptyBody } from './body.js';

/** @typedef {import('node:http').IncomingMessage} IncomingMessage */
/** @typedef {import('node:http').ServerResponse} ServerResponse */

/** A body is held twice: as bytes, and parsed. */
const COPIES = 2;
/** Bodies up to this size count but are never refused; their requests may be. */
const SMALL_BYTES = 64 * 1024;

/**
 * Ends a request whose client has stopped sending, and its connection.
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
 * Runs `read` under guard. The first failure determines the response.
 * @template T
 * @param {IncomingMessage} req
 * @param {ServerResponse} res
 * @param {object} options
 * @param {import('../../internal/util/memory-budget.js').MemoryBudget} options.memory
 * @param {string} options.principal principal of the request
 * @param {string} [options.resource] resource named in the refusal; default `bodies`
 * @param {number} options.idleMs longest silence of the client
 * @param {number} options.bytesMax of the body, decoded
 * @param {() => Promise<T>} read must attach its listeners synchronously
 * @returns {Promise<T>}
 * @throws {HttpError} 408, 503, and the errors of `read`
 */
export async function guardBody(req, res, options, read) {
  const { memory, principal, resource = 'bodies', idleMs, bytesMax } = options;
  if (isEmptyBody(req)) return read();
  const declared = Number(req.headers['content-length'] ?? 0);
  // The declared length alone refuses it; nothing is read.
  if (declared > bytesMax) return read();
  let held = 0;
  const hold = (/** @type {number} */ bytes) => {
    if (bytes <= held) return;
    if (bytes > SMALL_BYTES) memory.check(resource, principal, COPIES * (bytes - held));
    memory.count('bodies', principal, COPIES * (bytes - held));
    held = bytes;
  };
  const plain = (req.headers['content-encoding'] ?? 'identity').toLowerCase() === 'identity';
  // A compressed body may expand up to the limit.
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
        // Discards the rest of the body.
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
 * Cuts the connection of a streamed body once its client has been silent too long.
 * @param {IncomingMessage} req
 * @param {number} idleMs
 */
export function endWhenIdle(req, idleMs) {
  const timer = setTimeout(() => req.destroy(), idleMs);
  req.on('data', () => timer.refresh());
  req.once('close', () => clearTimeout(timer));
}
