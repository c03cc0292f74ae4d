/**
 * `/v1/logs`: the most frequent errors, the errors as they come, and logs that are sent in. For
 * administrators; where nobody is told apart, for this machine alone.
 */
import { HttpError, badRequest } from '../http-errors.js';
import { accessOf } from '../auth.js';
import { cursorOf, turnAway, turnedAway } from './stream.js';
import { isLoopback } from '../hosts.js';
import { kInternals } from '../symbols.js';
import { wireTopError } from '../logs/view.js';

const kTopMax = 1000;
const kWindowSecondsMax = 86_400;
const kSourceMax = 200;

/**
 * Whether a page of elsewhere has its browser, which may well be on this machine, send this: logs
 * are a body that takes no preflight.
 * @param {import('express').Request} req
 * @param {readonly string[]} allowed origins whose pages may call
 * @returns {boolean}
 */
function isForeign({ headers: { origin, host } }, allowed) {
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return false;
  return !URL.canParse(origin) || new URL(origin).host !== host;
}

/**
 * Lets administrators pass: with keys those whose key says so, with an `authenticate` hook those
 * whom it says so of. Without either, callers on this machine that neither a proxy nor a page of
 * elsewhere has sent.
 * @param {import('../gateway.js').Gateway} gateway
 * @returns {import('express').RequestHandler} to run behind the authentication
 */
export function logAccess(gateway) {
  const { access, options } = gateway[kInternals];
  return (req, _res, next) => {
    const told = access.keyed || options.authenticate !== undefined;
    const address = (req.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    const forwarded =
      req.headers['x-forwarded-for'] !== undefined || req.headers.forwarded !== undefined;
    const sent = forwarded || isForeign(req, access.corsOrigins);
    if (told ? accessOf(req).admin : isLoopback(address) && !sent) return next();
    throw new HttpError(403, {
      code: 'admin_key_required',
      message: told
        ? 'This is for keys with "admin": true.'
        : 'Without keys, this is for callers on the machine itself, and not for pages of elsewhere.',
    });
  };
}

/**
 * @param {import('express').Request} req
 * @param {string} name
 * @param {number} max
 * @param {number} [fallback]
 * @returns {number | undefined}
 */
function integerOf(req, name, max, fallback) {
  const { [name]: value } = req.query;
  if (value === undefined) return fallback;
  if (typeof value !== 'string' || !/^\d{1,9}$/.test(value) || +value < 1 || +value > max) {
    throw badRequest('invalid_value', name, `${name} must be an integer from 1 to ${max}.`);
  }
  return +value;
}

/** @param {import('express').Request} req */
function sourceOf(req) {
  const { source = 'upload' } = req.query;
  if (typeof source === 'string' && source !== '' && source.length <= kSourceMax) return source;
  throw badRequest('invalid_value', 'source', `source must be 1 to ${kSourceMax} characters.`);
}

/**
 * @param {import('../gateway.js').Gateway} gateway
 * @returns {Record<'topErrors' | 'errors' | 'send', import('express').RequestHandler>}
 */
export function logRoutes(gateway) {
  const { logs } = gateway[kInternals];
  return {
    topErrors(req, res) {
      const windowSeconds = integerOf(req, 'window_s', kWindowSecondsMax);
      const k = integerOf(req, 'k', kTopMax, 10) ?? 10;
      const windowMs = windowSeconds === undefined ? undefined : windowSeconds * 1000;
      res.json({ data: logs.topErrors({ k, windowMs }).map(wireTopError) });
    },

    errors(req, res) {
      const cursor = cursorOf(req);
      if (turnedAway(gateway, res)) return;
      if (logs.hasRoom) logs.stream(res, cursor);
      else turnAway(res);
    },

    async send(req, res) {
      const source = sourceOf(req);
      let stats;
      try {
        stats = await logs.read(req, source);
      } catch (/** @type {any} */ error) {
        // Nobody is left to be told.
        if (req.destroyed && !req.complete) return;
        if (!String(error.code).startsWith('Z_')) throw error;
        const message = 'The body begins like gzip and is not; what came before the fault counts.';
        throw new HttpError(400, { code: 'invalid_gzip', message, cause: error });
      }
      res.json(stats);
    },
  };
}
