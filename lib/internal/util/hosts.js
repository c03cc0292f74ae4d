/** Classifies hosts that only this machine can reach, and names of this machine. Pure. */
import { BlockList, isIP } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/**
 * @param {string} host a name or an address to listen on
 * @returns {boolean} false for hosts that other machines may reach: all names except `localhost`, and
 *   `''`, `0.0.0.0` and `::`, which mean all addresses of the machine
 */
export function isLoopback(host) {
  if (host.toLowerCase() === 'localhost') return true;
  const family = isIP(host);
  return family !== 0 && loopback.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

/** @param {string} name @returns {boolean} whether it can be a host: neither a URL nor with a port */
export function isHostName(name) {
  return /^[^\s:/?#@\\[\]]+$/.test(name);
}

/** A name or an address (IPv6 in brackets), with an optional port. */
const hostHeader = /^(\[[\da-f:.]+\]|[^\s:/?#@\\[\]]+)(?::\d*)?$/i;

/** Cached, because clients usually repeat the same header. @type {{header: string, name: string | undefined}} */
let last = { header: '', name: undefined };

/** @param {string} header @returns {string | undefined} the name in it, in lower case; undefined: none */
function nameIn(header) {
  if (header !== last.header) {
    const host = hostHeader.exec(header)?.[1].toLowerCase();
    last = { header, name: host?.replace(/^\[|\]$|\.$/g, '') };
  }
  return last.name;
}

/**
 * Whether a request's `Host` is a name of this machine. A page of another site
 * cannot send a request to a loopback address under its own origin, but it can make its own name resolve
 * to one (DNS rebinding): the browser then treats both as one origin, whose answers the page may read.
 * The name in `Host` reveals this.
 * @param {string | undefined} header
 * @param {readonly string[]} allowed further names, in lower case
 * @returns {boolean} true for addresses, which need no name server; for `localhost` and names
 *   under it; for names of one label, which nobody can own on the internet; and without a header,
 *   which browsers always send
 */
export function isOwnHost(header, allowed) {
  if (header === undefined) return true;
  const name = nameIn(header);
  if (name === undefined) return false;
  if (isIP(name) !== 0 || allowed.includes(name)) return true;
  return !name.includes('.') || name.endsWith('.localhost');
}
