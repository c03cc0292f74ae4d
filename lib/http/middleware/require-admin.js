/**
 * Administrators are callers whose key or `authenticate` hook sets `admin`. Without keys and hook they
 * are callers with the server's admin token, or, if it has none, callers on this machine without a
 * proxy. Calls from pages of other origins are refused earlier.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { HttpError } from '../../internal/util/http-error.js';
import { isLoopback } from '../../internal/util/hosts.js';

/** @typedef {import('node:http').IncomingMessage} IncomingMessage */

/**
 * Digests of the required tokens by request, because one handler may serve several servers.
 * @type {WeakMap<IncomingMessage, Buffer>}
 */
const tokens = new WeakMap();

/** Digests have equal lengths, so a comparison takes constant time. @param {string} token */
export const digestOf = (token) => createHash('sha256').update(token).digest();

/**
 * Requires the admin token for an administrator's request on a server without keys.
 * @param {IncomingMessage} req
 * @param {Buffer} digest of the token
 */
export function demandAdminToken(req, digest) {
  tokens.set(req, digest);
}

/**
 * @param {IncomingMessage} req
 * @param {Buffer} digest
 */
function bearsToken({ headers: { authorization = '' } }, digest) {
  const token = /^Bearer +([^ \t]+) *$/i.exec(authorization)?.[1];
  return token !== undefined && timingSafeEqual(digestOf(token), digest);
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
    const digest = tokens.get(req);
    if (digest !== undefined) return bearsToken(req, digest);
    const address = (req.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    const forwarded =
      req.headers['x-forwarded-for'] !== undefined || req.headers.forwarded !== undefined;
    return isLoopback(address) && !forwarded;
  }

  /** @param {IncomingMessage} req */
  function messageFor(req) {
    if (authenticated()) return 'This is for keys with "admin": true.';
    if (!tokens.has(req)) return 'Without keys, this is for callers on the machine itself.';
    return (
      'Without keys, this takes the admin token that the server logs at start, sent as ' +
      '"Authorization: Bearer TOKEN"; --admin-open lets callers on the machine do without.'
    );
  }

  /** @type {(req: IncomingMessage, caller: {admin: boolean}) => void} */
  function requireAdmin(req, caller) {
    if (isAdmin(req, caller)) return;
    throw new HttpError(403, { code: 'admin_key_required', message: messageFor(req) });
  }

  return { isAdmin, requireAdmin };
}
