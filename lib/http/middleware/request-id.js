/**
 * `x-request-id` on every response: the caller's own when it is sane, else a new one.
 */
import { randomUUID } from 'node:crypto';

// What may be repeated in a header and a log line without harm.
const kSane = /^[\w.:/+=@-]{1,128}$/;

/**
 * @param {import('express').Request} req
 * @param {import('express').Response} res
 * @param {import('express').NextFunction} next
 */
export function requestId(req, res, next) {
  if (!res.hasHeader('x-request-id')) {
    const inbound = req.get('x-request-id');
    res.set('x-request-id', inbound && kSane.test(inbound) ? inbound : randomUUID());
  }
  next();
}
