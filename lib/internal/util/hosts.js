/** Which hosts only this machine reaches, and which names it may be called by. Pure. */
import { BlockList, isIP } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/**
 * @param {string} host a name or an address to listen on
 * @returns {boolean} false for what may be reached from elsewhere: every name but `localhost`, and
 *   `''`, `0.0.0.0` and `::`, which are all addresses of the machine
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

/** A name or an address, in brackets if it is of IPv6, and perhaps a port. */
const hostHeader = /^(\[[\da-f:.]+\]|[^\s:/?#@\\[\]]+)(?::\d*)?$/i;

/** Clients send the same one again and again. @type {{header: string, name: string | undefined}} */
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
 * cannot send a request to a loopback address in its own name, but it can have its own name resolve
 * to one (DNS rebinding): to the browser the two are then one site, of which it may read everything.
 * What gives that away is the name.
 * @param {string | undefined} header
 * @param {readonly string[]} allowed further names, in lower case
 * @returns {boolean} true for addresses, which no name server stands behind; for `localhost` and names
 *   under it; for names of one label, which belong to nobody on the internet; and without a header,
 *   as no browser asks
 */
export function isOwnHost(header, allowed) {
  if (header === undefined) return true;
  const name = nameIn(header);
  if (name === undefined) return false;
  if (isIP(name) !== 0 || allowed.includes(name)) return true;
  return !name.includes('.') || name.endsWith('.localhost');
}
