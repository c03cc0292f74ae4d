/**
 * Administrators are callers whose key or `authenticate` hook sets `admin`. Without keys and hook
 * they are callers on this machine, neither through a proxy nor from a page of another origin.
 */
import { HttpError } from '../../internal/util/http-error.js';
import { isLoopback } from '../../internal/util/hosts.js';

/** @typedef {import('node:http').IncomingMessage} IncomingMessage */

/**
 * Whether a page of another origin sent the request. The browser may run on this machine, and some
 * requests need no preflight.
 * @param {IncomingMessage} req
 * @param {readonly string[]} allowed origins whose pages may call
 * @returns {boolean}
 */
function isCrossOrigin({ headers: { origin, host } }, allowed) {
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return false;
  return !URL.canParse(origin) || new URL(origin).host !== host;
}

/**
 * @param {object} deps
 * @param {import('../../jobs/policy/access-control.js').AccessControl} deps.access
 * @param {Function} [deps.authenticate]
 * @returns {{isAdmin: (req: IncomingMessage, caller: {admin: boolean}) => boolean,
 *   requireAdmin: (req: IncomingMessage, caller: {admin: boolean}) => void}} `requireAdmin` throws an
 *   HttpError 403
 */
export function createAdminCheck({ access, authenticate }) {
  const authenticated = () => access.keyed || authenticate !== undefined;

  /** @type {(req: IncomingMessage, caller: {admin: boolean}) => boolean} */
  function isAdmin(req, caller) {
    if (authenticated()) return caller.admin;
    const address = (req.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    const forwarded =
      req.headers['x-forwarded-for'] !== undefined || req.headers.forwarded !== undefined;
    return isLoopback(address) && !forwarded && !isCrossOrigin(req, access.corsOrigins);
  }

  /** @type {(req: IncomingMessage, caller: {admin: boolean}) => void} */
  function requireAdmin(req, caller) {
    if (isAdmin(req, caller)) return;
    throw new HttpError(403, {
      code: 'admin_key_required',
      message: authenticated()
        ? 'This is for keys with "admin": true.'
        : 'Without keys, this is for callers on the machine itself, and not for pages of elsewhere.',
    });
  }

  return { isAdmin, requireAdmin };
}
