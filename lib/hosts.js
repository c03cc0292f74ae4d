/** Which hosts only this machine reaches. Pure. */
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
