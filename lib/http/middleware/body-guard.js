/**
 * Guards a request's body while it is received and answered: reserves its memory in the budget, and
 * limits the client's silence. Main thread.
 */
import { HttpError } from '../../internal/util/http-error.js';
import { SMALL_BYTES, hasCome, isEmptyBody, tooLarge } from './body.js';

/** @typedef {import('node:http').IncomingMessage} IncomingMessage */
/** @typedef {import('node:http').ServerResponse} ServerResponse */

/** A body uses memory twice: as bytes, and parsed. */
const COPIES = 2;

/**
 * Ends a request whose client has stopped sending, and its connection.
 * @param {IncomingMessage} req
 * @param {ServerResponse} res
 * @param {number} idleMs
 * @returns {HttpError}
 */
function timedOut(req, res, idleMs) {
  const message = `No byte of the body came for ${idleMs} ms.`;
  return closing(req, res, new HttpError(408, { code: 'body_timeout', message }));
}

/**
 * @param {IncomingMessage} req
 * @param {ServerResponse} res
 * @param {HttpError} error after which the connection is closed
 * @returns {HttpError} the same error
 */
function closing(req, res, error) {
  res.setHeader('Connection', 'close');
  res.once('finish', () => req.destroy());
  return error;
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
 * @param {() => T | Promise<T>} read must attach its listeners synchronously
 * @returns {T | Promise<T>} result of `read`
 * @throws {HttpError} 408, 503, and the errors of `read`
 */
export function guardBody(req, res, options, read) {
  const { memory, principal, resource = 'bodies', idleMs, bytesMax } = options;
  if (isEmptyBody(req)) return read();
  const declared = Number(req.headers['content-length'] ?? 0);
  // The declared length is too large: refuse without reading.
  if (declared > bytesMax) return read();
  let held = 0;
  const hold = (/** @type {number} */ bytes) => {
    if (bytes <= held) return;
    // Small bodies are counted but never refused; their requests may be.
    if (bytes > SMALL_BYTES) memory.check(resource, principal, COPIES * (bytes - held));
    memory.count('bodies', principal, COPIES * (bytes - held));
    held = bytes;
  };
  const plain = (req.headers['content-encoding'] ?? 'identity').toLowerCase() === 'identity';
  // A compressed body may expand up to the limit.
  hold(plain ? declared : bytesMax);
  // The event is emitted only once.
  res.on('close', () => memory.count('bodies', principal, -COPIES * held));
  // No wait is needed.
  if (hasCome(req)) return read();
  let came = 0;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(timedOut(req, res, idleMs)), idleMs);
    const onData = (/** @type {Buffer} */ chunk) => {
      timer.refresh();
      came += chunk.length;
      try {
        if (plain && came <= bytesMax) hold(came);
      } catch (error) {
        // Discards the rest of the body.
        req.removeAllListeners('data').resume();
        fail(error);
      }
    };
    const stop = () => {
      clearTimeout(timer);
      req.off('data', onData);
    };
    const fail = (/** @type {unknown} */ error) => {
      stop();
      reject(error);
    };
    req.on('data', onData);
    req.once('close', () => clearTimeout(timer));
    let reading;
    try {
      reading = read();
    } catch (error) {
      fail(error);
      return;
    }
    Promise.resolve(reading).then((value) => {
      stop();
      resolve(value);
    }, fail);
  });
}

/**
 * Reads a streamed body under the limit of the client's silence.
 * @template T
 * @param {IncomingMessage} req
 * @param {ServerResponse} res
 * @param {number} idleMs longest silence of the client
 * @param {(chunks: AsyncIterable<Buffer>) => Promise<T>} read called with the body
 * @returns {Promise<T>}
 * @throws {HttpError} 408, and the errors of `read`
 */
export async function guardStream(req, res, idleMs, read) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const silence = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(timedOut(req, res, idleMs)), idleMs);
  });
  async function* watched() {
    for await (const chunk of req) {
      timer?.refresh();
      yield chunk;
    }
  }
  const reading = read(watched());
  // After a 408 the reader fails with the connection.
  reading.catch(() => {});
  try {
    return await Promise.race([reading, silence]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Discards an unread request body, under the same limits as for reading. A
 * client that is silent for `idleMs`, or sends more than `bytesMax`, is disconnected, after the
 * answer or with a 408 or 413 as the answer.
 * @param {IncomingMessage} req
 * @param {ServerResponse} res
 * @param {object} options
 * @param {number} options.idleMs
 * @param {number} options.bytesMax
 * @param {(error: HttpError) => void} options.fail answers the request
 */
export function discardBody(req, res, { idleMs, bytesMax, fail }) {
  // An earlier middleware has read the body, or it arrived with the head.
  if (isEmptyBody(req) || req.complete || req.destroyed) return;
  const stop = (/** @type {() => HttpError} */ error) => {
    clearTimeout(timer);
    if (res.headersSent) req.destroy();
    else fail(error());
  };
  const timer = setTimeout(() => stop(() => timedOut(req, res, idleMs)), idleMs);
  let came = 0;
  req.on('data', (/** @type {Buffer} */ chunk) => {
    timer.refresh();
    came += chunk.length;
    if (came <= bytesMax) return;
    req.removeAllListeners('data');
    stop(() => closing(req, res, tooLarge(bytesMax)));
  });
  req.once('end', () => clearTimeout(timer));
  req.once('close', () => clearTimeout(timer));
}
