/**
 * Who may do what is for administrators: with keys those whose key says so, with an `authenticate`
 * hook those whom it says so of. Without either, callers on this machine that neither a proxy nor a page
 * of elsewhere has sent.
 */
import { HttpError } from '../../internal/util/http-error.js';
import { accessOf } from './authenticate.js';
import { isLoopback } from '../../internal/util/hosts.js';

/**
 * Whether a page of elsewhere has its browser, which may well be on this machine, send this: not
 * every body takes a preflight.
 * @param {import('express').Request} req
 * @param {readonly string[]} allowed origins whose pages may call
 * @returns {boolean}
 */
function isForeign({ headers: { origin, host } }, allowed) {
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return false;
  return !URL.canParse(origin) || new URL(origin).host !== host;
}

/**
 * @param {object} gateway's own
 * @param {import('../../jobs/policy/access-control.js').AccessControl} gateway.access
 * @param {import('../../gateway/options.js').CheckedGatewayOptions} gateway.options
 * @returns {{has: (req: import('express').Request) => boolean,
 *   only: import('express').RequestHandler}} `has`: whether it is one's request; `only` lets them pass;
 *   both behind the authentication
 */
export function administrators({ access, options }) {
  const told = () => access.keyed || options.authenticate !== undefined;

  /** @param {import('express').Request} req */
  function has(req) {
    if (told()) return accessOf(req).admin;
    const address = (req.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    const forwarded =
      req.headers['x-forwarded-for'] !== undefined || req.headers.forwarded !== undefined;
    return isLoopback(address) && !forwarded && !isForeign(req, access.corsOrigins);
  }

  /** @type {import('express').RequestHandler} */
  function only(req, _res, next) {
    if (has(req)) return next();
    throw new HttpError(403, {
      code: 'admin_key_required',
      message: told()
        ? 'This is for keys with "admin": true.'
        : 'Without keys, this is for callers on the machine itself, and not for pages of elsewhere.',
    });
  }

  return { has, only };
}
