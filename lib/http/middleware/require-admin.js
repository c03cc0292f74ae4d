/**
 * Administrators: callers whose key, or whose `authenticate` hook, says so. Without both, callers on
 * this machine that came through no proxy. Calls from pages of other origins do not get here.
 */
import { HttpError } from '../../internal/util/http-error.js';
import { isLoopback } from '../../internal/util/hosts.js';

/** @typedef {import('node:http').IncomingMessage} IncomingMessage */

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
    return isLoopback(address) && !forwarded;
  }

  /** @type {(req: IncomingMessage, caller: {admin: boolean}) => void} */
  function requireAdmin(req, caller) {
    if (isAdmin(req, caller)) return;
    throw new HttpError(403, {
      code: 'admin_key_required',
      message: authenticated()
        ? 'This is for keys with "admin": true.'
        : 'Without keys, this is for callers on the machine itself.',
    });
  }

  return { isAdmin, requireAdmin };
}
