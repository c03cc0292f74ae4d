/** `/v1/logs`: the most frequent errors, a live stream of errors, and uploads. For administrators. */
import { HttpError, badRequest } from '../../internal/util/http-error.js';
import { guardStream } from '../middleware/body-guard.js';
import { ErrorStream } from '../sse/error-stream.js';
import { cursorOf, turnAway } from './streams.js';
import { sendJson } from '../respond.js';

const TOP_MAX = 1000;
const WINDOW_S_MAX = 86_400;
const SOURCE_LENGTH_MAX = 200;

/**
 * @param {import('../router.js').Context['query']} query
 * @param {string} name
 * @param {number} max
 * @param {number} [fallback]
 * @returns {number | undefined}
 */
function integerOf(query, name, max, fallback) {
  const { [name]: value } = query;
  if (value === undefined) return fallback;
  if (typeof value !== 'string' || !/^\d{1,9}$/.test(value) || +value < 1 || +value > max) {
    throw badRequest('invalid_value', name, `${name} must be an integer from 1 to ${max}.`);
  }
  return +value;
}

/** @param {import('../router.js').Context['query']} query */
function sourceOf({ source = 'upload' }) {
  if (typeof source === 'string' && source !== '' && source.length <= SOURCE_LENGTH_MAX) {
    return source;
  }
  throw badRequest(
    'invalid_value',
    'source',
    `source must be 1 to ${SOURCE_LENGTH_MAX} characters.`,
  );
}

/**
 * @param {import('../../primitives/logs/log-parser.js').TopError} error
 * @returns {{template: string, count: number, first_at: number, last_at: number, sample: string}}
 *   times in Unix seconds
 */
export function topErrorToJson({ template, count, firstMs, lastMs, sample }) {
  return { template, count, first_at: firstMs / 1000, last_at: lastMs / 1000, sample };
}

/**
 * @param {object} deps
 * @param {import('../../services/error-logs/service.js').LogService} deps.logs
 * @param {import('../sse/open-streams.js').OpenStreams} deps.open streams of errors
 * @param {{bodyIdleMs: number, heartbeatMs: number, stallMs: number, reconnectMs: number}} deps.options
 * @returns {import('../router.js').Routes}
 */
export function logRoutes({ logs, open, options }) {
  /** @type {import('../router.js').Handle} */
  function topErrors(_req, res, { query }) {
    const windowSeconds = integerOf(query, 'window_s', WINDOW_S_MAX);
    const k = integerOf(query, 'k', TOP_MAX, 10) ?? 10;
    const windowMs = windowSeconds === undefined ? undefined : windowSeconds * 1000;
    sendJson(res, 200, { data: logs.topErrors({ k, windowMs }).map(topErrorToJson) });
  }

  /** @type {import('../router.js').Handle} */
  function errors(req, res, { query, access }) {
    const cursor = cursorOf(req, query);
    const { principal } = access;
    if (!open.hasRoom(principal)) {
      turnAway(res);
      return;
    }
    const close = open.open(principal);
    const { ring } = logs;
    const { heartbeatMs, stallMs, reconnectMs } = options;
    const timing = { heartbeatMs, stallMs, reconnectMs };
    const onClosed = (/** @type {ErrorStream} */ stream) => {
      logs.removeReader(stream);
      close();
    };
    logs.addReader(new ErrorStream(res, { ring, cursor, ...timing, onClosed }));
  }

  /** @type {import('../router.js').Handle} */
  async function upload(req, res, { query }) {
    const source = sourceOf(query);
    let stats;
    try {
      stats = await guardStream(req, res, options.bodyIdleMs, (chunks) =>
        logs.read(chunks, source),
      );
    } catch (/** @type {any} */ error) {
      // The client has disconnected: send no answer.
      if (req.destroyed && !req.complete) return;
      if (!String(error.code).startsWith('Z_')) throw error;
      const message = 'The body begins like gzip and is broken; the lines before the fault count.';
      throw new HttpError(400, { code: 'invalid_gzip', message, cause: error });
    }
    sendJson(res, 200, stats);
  }

  return {
    '/v1/logs': { POST: { handle: upload, auth: 'admin', body: 'stream' } },
    '/v1/logs/top-errors': { GET: { handle: topErrors, auth: 'admin' } },
    '/v1/logs/errors': { GET: { handle: errors, auth: 'admin', head: false } },
  };
}
