/**
 * Who is asking. Every job, list, stream and idempotency key belongs to a principal; this is the
 * one place that finds it out. Without an `authenticate` option everybody is the same one.
 */
import { checkString } from './validate.js';

/** The principal of a gateway that authenticates nobody. */
export const kAnonymous = 'anonymous';

/**
 * @typedef {(req: import('express').Request) => string | Promise<string>} Authenticate
 * Gives the principal, or throws an `HttpError` (401, 403).
 */

/** @type {WeakMap<object, string>} */
const principals = new WeakMap();

/**
 * @param {Authenticate} [authenticate]
 * @returns {import('express').RequestHandler} to run before each route that touches jobs
 */
export function authentication(authenticate = () => kAnonymous) {
  return async (req, _res, next) => {
    principals.set(req, checkString('the principal', await authenticate(req)));
    next();
  };
}

/**
 * The principal of a request that passed `authentication`.
 * @param {import('express').Request} req
 * @returns {string}
 */
export function principalOf(req) {
  const principal = principals.get(req);
  if (principal === undefined) throw new Error('route mounted without authentication');
  return principal;
}
