/**
 * `/v1/logs`: the most frequent errors, the errors as they come, and logs that are sent in. For
 * administrators; where nobody is told apart, for this machine alone.
 */
import { HttpError, badRequest } from '../../internal/util/http-error.js';
import { cursorOf, turnAway, turnedAway } from './stream.js';
import { endWhenIdle } from '../middleware/request-body.js';
import { kInternals } from '../../internal/util/symbols.js';
import { wireTopError } from './logs-view.js';

const kTopMax = 1000;
const kWindowSecondsMax = 86_400;
const kSourceMax = 200;

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
 * @param {import('../../gateway/gateway.js').Gateway} gateway
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
      endWhenIdle(req);
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
