/**
 * The limits of a request's body while it comes in: its size, its share of the memory budget, and how
 * long the client may send nothing. For the middlewares that read bodies. Main thread.
 */
import { HttpError } from '../../internal/util/http-error.js';
import { principalOf } from './authenticate.js';

/** @typedef {import('express').Request} Request */
/** @typedef {import('express').Response} Response */

/**
 * @typedef {object} BodyRules
 * @property {number} maxBytes of a JSON body
 * @property {number} idleMs how long no byte may come
 * @property {import('../../internal/util/memory-budget.js').MemoryBudget} memory
 */

/** A body that is read is held twice: as bytes, and as what they say. */
const COPIES = 2;

/** @type {WeakMap<object, BodyRules>} by request */
const rules = new WeakMap();

/**
 * @param {BodyRules} given for all requests of a router
 * @returns {import('express').RequestHandler} to run before the body is read
 */
export function bodyRules(given) {
  return (req, _res, next) => {
    rules.set(req, given);
    next();
  };
}

/** @param {Request} req @returns {BodyRules} */
export const rulesOf = (req) => /** @type {BodyRules} */ (rules.get(req));

/** @param {Request} req */
export const isEmptyBody = ({ headers }) =>
  headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0;

/** @param {number} maxBytes */
export function bodyTooLarge(maxBytes) {
  return new HttpError(413, {
    code: 'body_too_large',
    message: `The body is over ${maxBytes} bytes.`,
  });
}

/**
 * Ends a request whose client sends nothing: its connection is of no use any more.
 * @param {Request} req
 * @param {Response} res
 * @param {number} idleMs
 * @returns {HttpError}
 */
function timedOut(req, res, idleMs) {
  res.set('Connection', 'close');
  res.once('finish', () => req.destroy());
  const message = `No byte of the body came for ${idleMs} ms.`;
  return new HttpError(408, { code: 'body_timeout', message });
}

/**
 * Watches over a body while `read` reads it. The failure that comes first is the answer.
 * @param {Request} req
 * @param {Response} res
 * @param {(error?: unknown) => void} next
 * @param {number} maxBytes
 * @param {(next: (error?: unknown) => void) => void} read has to attach its listeners at once
 */
export function readBody(req, res, next, maxBytes, read) {
  if (isEmptyBody(req)) return read(next);
  const { memory, idleMs } = rulesOf(req);
  const principal = principalOf(req);
  const declared = Number(req.headers['content-length'] ?? NaN);
  if (declared > maxBytes) throw bodyTooLarge(maxBytes);
  // What is compressed may become as large as the limit.
  const plain = (req.headers['content-encoding'] ?? 'identity').toLowerCase() === 'identity';
  let held = 0;
  let came = 0;
  const hold = (/** @type {number} */ bytes) => {
    if (bytes <= held) return;
    memory.check('bodies', principal, COPIES * (bytes - held));
    memory.count('bodies', principal, COPIES * (bytes - held));
    held = bytes;
  };
  let over = false;
  const finish = (/** @type {unknown} */ error) => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    req.off('data', onData);
    next(error);
  };
  const onData = (/** @type {Buffer} */ chunk) => {
    timer.refresh();
    came += chunk.length;
    try {
      if (plain) hold(came);
    } catch (error) {
      res.set('Connection', 'close');
      finish(error);
    }
  };
  hold(plain ? declared || 0 : maxBytes);
  res.once('close', () => {
    over = true;
    clearTimeout(timer);
    memory.count('bodies', principal, -COPIES * held);
  });
  const timer = setTimeout(() => finish(timedOut(req, res, idleMs)), idleMs);
  req.on('data', onData);
  return read(finish);
}

/**
 * Cuts the connection of a body that is read as it comes, once its client sends nothing.
 * @param {Request} req
 */
export function endWhenIdle(req) {
  const timer = setTimeout(() => req.destroy(), rulesOf(req).idleMs);
  req.on('data', () => timer.refresh());
  req.once('close', () => clearTimeout(timer));
}
