/**
 * Who is asking. Every job, list, stream and idempotency key belongs to a principal; this is the
 * one place that finds it out: from the key of the `Authorization` header, or from the user's own
 * `authenticate` hook. Without either everybody is the same one.
 */
import { HttpError } from '../../internal/util/http-error.js';
import { kAnonymous } from '../../jobs/policy/config.js';

/** @typedef {import('../../jobs/policy/config.js').Access} Access */
/** @typedef {import('../../jobs/policy/access-control.js').AccessControl} AccessControl */

/**
 * @typedef {(req: import('express').Request) => string | import('../../jobs/policy/access-control.js').GivenAccess |
 *   Promise<string | import('../../jobs/policy/access-control.js').GivenAccess>} Authenticate
 * Gives the principal, by its name or with what it may do, or throws an `HttpError` (401, 403). The
 * name of a key's id brings what is configured for that key.
 */

/** @type {WeakMap<object, Readonly<Access>>} */
const accesses = new WeakMap();

/**
 * @param {'missing_api_key' | 'invalid_api_key' | 'stream_url_invalid' | 'stream_url_expired'} code
 * @param {string} message
 */
function unauthorized(code, message) {
  return new HttpError(401, { code, message, headers: { 'WWW-Authenticate': 'Bearer' } });
}

/**
 * @param {AccessControl} access
 * @param {import('express').Request} req
 * @returns {Readonly<Access>}
 * @throws {HttpError} 401
 */
function accessByKey(access, req) {
  const header = req.headers.authorization;
  if (header === undefined || header === '') {
    const message = 'A key is needed: send it as "Authorization: Bearer KEY".';
    throw unauthorized('missing_api_key', message);
  }
  const key = /^Bearer +([^ \t]+) *$/i.exec(header)?.[1];
  const found = key === undefined ? undefined : access.byKey(key);
  if (found === undefined) throw unauthorized('invalid_api_key', 'This is no valid key.');
  return found;
}

/**
 * The principal that a signed address names.
 * @param {import('../../jobs/policy/signed-urls.js').StreamUrls} streamUrls
 * @param {import('express').Request} req
 * @returns {string}
 * @throws {HttpError} 401
 */
function principalByToken(streamUrls, req) {
  const { token, job_id: jobIds, workflow_id: workflowIds, crawl_id: crawlIds } = req.query;
  const ids = [jobIds, workflowIds, crawlIds].flat().filter((id) => typeof id === 'string');
  const opened = streamUrls.open(token, ids);
  if (opened === undefined) {
    throw unauthorized('stream_url_invalid', 'This stream_url is not signed for these jobs.');
  }
  if (opened.state === 'revoked') {
    throw unauthorized('stream_url_invalid', 'The key that this stream_url is for is gone.');
  }
  if (opened.state === 'expired') {
    const message = 'This stream_url has expired; POST /v1/jobs/{id}/stream_url gives a new one.';
    throw unauthorized('stream_url_expired', message);
  }
  return opened.principal;
}

/**
 * @param {AccessControl} access
 * @param {Authenticate} [authenticate]
 * @param {import('../../jobs/policy/signed-urls.js').StreamUrls} [streamUrls] where signed addresses are good, too;
 *   an `Authorization` header goes before them
 * @returns {import('express').RequestHandler} to run before each route that touches jobs
 */
export function authentication(access, authenticate, streamUrls) {
  return async (req, _res, next) => {
    const byToken =
      streamUrls?.signed &&
      req.query.token !== undefined &&
      req.headers.authorization === undefined;
    let found;
    if (streamUrls !== undefined && byToken) found = access.of(principalByToken(streamUrls, req));
    else if (authenticate !== undefined) found = access.from(await authenticate(req));
    else if (access.keyed) found = accessByKey(access, req);
    else found = access.of(kAnonymous);
    accesses.set(req, found);
    next();
  };
}

/**
 * Lets administrators pass, and everybody where no keys are configured.
 * @param {AccessControl} access
 * @param {import('express').RequestHandler} authenticated
 * @returns {import('express').RequestHandler[]}
 */
export function administration(access, authenticated) {
  return [
    (req, res, next) => (access.keyed ? authenticated(req, res, next) : next()),
    (req, _res, next) => {
      if (access.keyed && !accessOf(req).admin) {
        throw new HttpError(403, {
          code: 'admin_key_required',
          message: 'This is for keys with "admin": true.',
        });
      }
      next();
    },
  ];
}

/**
 * Who sent a request that passed `authentication`, and what they may do.
 * @param {import('express').Request} req
 * @returns {Readonly<Access>}
 */
export function accessOf(req) {
  const access = accesses.get(req);
  if (access === undefined) throw new Error('route mounted without authentication');
  return access;
}

/**
 * The principal of a request that passed `authentication`.
 * @param {import('express').Request} req
 * @returns {string}
 */
export function principalOf(req) {
  return accessOf(req).principal;
}
