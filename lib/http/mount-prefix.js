/**
 * The path under which clients see the handler: URLs in answers begin with it. It has two parts, the
 * prefix that a proxy in front has stripped, and the mount path of the handler in its app. Pure.
 */
import { isIP } from 'node:net';
import { ipaddr } from '../internal/util/packages.js';

/**
 * Peers with a trusted `X-Forwarded-Prefix`: `local`: those with a loopback, private or link-local address,
 * or without an address (a Unix socket, `gateway.fetch`).
 * @typedef {'local' | 'all' | 'none'} TrustedProxies
 */

const LOCAL_RANGES = new Set(['loopback', 'private', 'linkLocal', 'uniqueLocal']);

/** An absolute path without special characters of URLs; `//` would begin a host. */
const PREFIX = /^(?:\/|(?:\/[\w.~!$&'()*+;=:@%-]+)+\/?)$/;

/** @param {string | undefined} address */
function isLocal(address) {
  if (address === undefined) return true;
  return isIP(address) !== 0 && LOCAL_RANGES.has(ipaddr().process(address).range());
}

/**
 * @param {import('node:http').IncomingMessage} req
 * @param {TrustedProxies} trusted
 * @returns {string} empty: none; the prefixes of several proxies are joined, outermost first
 */
function forwardedPrefix(req, trusted) {
  const header = req.headers['x-forwarded-prefix'];
  if (typeof header !== 'string' || trusted === 'none') return '';
  if (trusted === 'local' && !isLocal(req.socket?.remoteAddress)) return '';
  const prefixes = header.split(',').map((prefix) => prefix.trim());
  if (!prefixes.every((prefix) => PREFIX.test(prefix))) return '';
  return prefixes.map((prefix) => prefix.replace(/\/$/, '')).join('');
}

/**
 * @param {any} req Express sets `baseUrl`; Connect and similar frameworks keep the whole URL in `originalUrl`
 * @returns {string}
 */
function appPrefix({ baseUrl, originalUrl, url = '' }) {
  if (typeof baseUrl === 'string') return baseUrl;
  if (typeof originalUrl !== 'string' || !originalUrl.endsWith(url)) return '';
  return originalUrl.slice(0, originalUrl.length - url.length);
}

/**
 * @param {import('node:http').IncomingMessage} req
 * @param {string} found the prefix that the URL of `req` still has
 * @param {TrustedProxies} trusted
 * @returns {string} without a trailing slash
 */
export function mountPrefix(req, found, trusted) {
  const own = appPrefix(req);
  return forwardedPrefix(req, trusted) + (own.endsWith('/') ? own.slice(0, -1) : own) + found;
}
