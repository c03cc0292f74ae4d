/**
 * Finds the principal of a request: from the key in `Authorization` or `x-api-key`, from the user's
 * `authenticate` hook, or from a signed stream URL. Without keys and hook all callers have the same principal.
 */
import { HttpError } from '../../internal/util/http-error.js';
import { ANONYMOUS } from '../../jobs/policy/config.js';

/** @typedef {import('../../jobs/policy/config.js').Access} Access */
/** @typedef {import('../../jobs/policy/access-control.js').AccessControl} AccessControl */

/** @typedef {import('node:http').IncomingMessage} IncomingMessage */

/**
 * The request passed to an `authenticate` hook: Node's, with Express's `get(name)` for a header.
 * @typedef {IncomingMessage & {get: (name: string) => any}} HookRequest
 */

/**
 * @typedef {(req: HookRequest) => string
 *   | import('../../jobs/policy/access-control.js').GivenAccess
 *   | Promise<string | import('../../jobs/policy/access-control.js').GivenAccess>} Authenticate
 * Returns the principal's name, or its name with permissions, or throws an `HttpError` (401, 403).
 * If the name is the id of a key, the configuration of that key applies.
 */

/**
 * @this {IncomingMessage}
 * @param {string} name
 */
function headerOf(name) {
  return this.headers[name.toLowerCase()];
}

/**
 * @param {'missing_api_key' | 'invalid_api_key' | 'stream_url_invalid' | 'stream_url_expired'} code
 * @param {string} message
 */
export function unauthorized(code, message) {
  return new HttpError(401, { code, message, headers: { 'WWW-Authenticate': 'Bearer' } });
}

/**
 * Access by the last valid key of each connection. A client sends the same key with each request, and comparing it
 * with its own earlier key reveals nothing about other keys.
 * @type {WeakMap<object, {given: string, revision: object, access: Readonly<Access>}>}
 */
const lastByConnection = new WeakMap();

/**
 * @param {AccessControl} access
 * @param {IncomingMessage} req
 * @returns {Readonly<Access>}
 * @throws {HttpError} 401
 */
function accessByKey(access, req) {
  const { socket, headers } = req;
  const given = headers.authorization || headers['x-api-key'];
  const last = socket && lastByConnection.get(socket);
  if (last !== undefined && last.given === given && last.revision === access.revision) {
    return last.access;
  }
  const found = findByKey(access, headers);
  if (socket && typeof given === 'string') {
    lastByConnection.set(socket, { given, revision: access.revision, access: found });
  }
  return found;
}

/**
 * @param {AccessControl} access
 * @param {import('node:http').IncomingHttpHeaders} headers
 * @returns {Readonly<Access>}
 * @throws {HttpError} 401
 */
function findByKey(access, { authorization: header, 'x-api-key': bare }) {
  if (!header && !bare) {
    const message = 'A key is needed: send it as "Authorization: Bearer KEY".';
    throw unauthorized('missing_api_key', message);
  }
  // Anthropic's clients send the key without a scheme.
  const key = header ? /^Bearer +([^ \t]+) *$/i.exec(header)?.[1] : String(bare);
  const found = key === undefined ? undefined : access.byKey(key);
  if (found === undefined) throw unauthorized('invalid_api_key', 'This key is not valid.');
  return found;
}

/**
 * The principal named by a signed URL.
 * @param {import('../../jobs/policy/signed-urls.js').StreamUrls} streamUrls
 * @param {IncomingMessage} req
 * @param {import('node:querystring').ParsedUrlQuery} query
 * @returns {string}
 * @throws {HttpError} 401
 */
function principalByToken(streamUrls, req, query) {
  const { token, job_id: jobIds, workflow_id: workflowIds, crawl_id: crawlIds } = query;
  const ids = [jobIds, workflowIds, crawlIds].flat().filter((id) => typeof id === 'string');
  const opened = streamUrls.open(req, token, ids);
  if (opened === undefined) {
    throw unauthorized('stream_url_invalid', 'This stream_url is not signed for these jobs.');
  }
  if (opened.revoked) {
    throw unauthorized('stream_url_invalid', 'The key of this stream_url was removed or disabled.');
  }
  return opened.principal;
}

/**
 * @param {object} deps
 * @param {AccessControl} deps.access
 * @param {Authenticate} [deps.authenticate] the user's hook, which replaces keys
 * @param {import('../../jobs/policy/signed-urls.js').StreamUrls} deps.streamUrls
 */
export function createAuthenticator({ access, authenticate, streamUrls }) {
  /**
   * @param {IncomingMessage} req
   * @returns {Readonly<Access> | Promise<Readonly<Access>>} access of the caller
   * @throws {HttpError} 401, 403
   */
  function byRequest(req) {
    if (authenticate !== undefined) return fromHook(req, authenticate);
    return access.keyed ? accessByKey(access, req) : access.of(ANONYMOUS);
  }

  /**
   * @param {IncomingMessage} req
   * @param {Authenticate} hook
   */
  async function fromHook(req, hook) {
    const given = /** @type {HookRequest} */ (req);
    given.get ??= headerOf;
    return access.from(await hook(given));
  }

  /**
   * Like `byRequest`, but also accepts a signed stream URL; an `Authorization` header takes
   * precedence.
   * @param {IncomingMessage} req
   * @param {import('node:querystring').ParsedUrlQuery} query
   */
  function byRequestOrUrl(req, query) {
    const signed =
      streamUrls.signed && query.token !== undefined && req.headers.authorization === undefined;
    return signed ? access.of(principalByToken(streamUrls, req, query)) : byRequest(req);
  }

  return { byRequest, byRequestOrUrl };
}
