/**
 * Refuses calls from pages of other origins. A browser sends some of them without a preflight
 * (a POST without a body, a link), so CORS headers are not sufficient against them. Pure.
 */
import { HttpError } from '../../internal/util/http-error.js';

/** @typedef {import('node:http').IncomingHttpHeaders} IncomingHttpHeaders */

/**
 * @param {IncomingHttpHeaders} headers
 * @returns {string[]} names and ports that the caller may have used for this server. A page cannot send
 *   `X-Forwarded-Host` to another origin without a preflight, and a chain of proxies makes it a list
 */
function hostsOf({ host, ':authority': authority, 'x-forwarded-host': forwarded }) {
  const names = [host ?? authority ?? [], forwarded ?? []].flat();
  return names.flatMap((list) => list.split(',')).map((name) => name.trim());
}

/**
 * The scheme is the origin's: a proxy that terminates TLS changes the scheme but not the name.
 * @param {string} origin
 * @param {IncomingHttpHeaders} headers
 * @returns {boolean} whether `origin` names this server, with the default port of its scheme or without
 */
function isThisHost(origin, headers) {
  if (!/^https?:\/\//i.test(origin) || !URL.canParse(origin)) return false;
  const { host: wanted, protocol } = new URL(origin);
  return hostsOf(headers).some((name) => {
    const url = `${protocol}//${name}`;
    return URL.canParse(url) && new URL(url).host === wanted;
  });
}

/**
 * Without `Origin` and `Sec-Fetch-Site`, which programs other than browsers do not send, every call passes.
 * @param {import('node:http').IncomingMessage} req
 * @param {readonly string[]} allowed origins whose pages may call; `*`: any origin
 * @throws {HttpError} 403
 */
export function checkOrigin({ headers }, allowed) {
  if (allowed.includes('*')) return;
  const { origin } = headers;
  if (origin !== undefined && allowed.includes(origin)) return;
  if (headers['sec-fetch-site'] === 'cross-site') throw refused(origin);
  if (origin !== undefined && !isThisHost(origin, headers)) throw refused(origin);
}

/** @param {string | undefined} origin */
function refused(origin) {
  const page = origin === undefined ? 'another site' : `the origin ${JSON.stringify(origin)}`;
  return new HttpError(403, {
    code: 'origin_not_allowed',
    message:
      `Pages of ${page} may not call this server: list the origin in cors_origins. Behind a proxy, ` +
      'forward the Host header, or send X-Forwarded-Host.',
  });
}
