/**
 * Check of the addresses that a crawl connects to.
 *
 * A public name may resolve to a private address, and to another address a moment later. So the
 * lookup that the connection itself uses makes the check: a connection only ever goes to an address
 * that was checked.
 */
import { isIP } from 'node:net';
import { SluiceError } from '../../internal/util/errors.js';
import { ipaddr, lazy } from '../../internal/util/packages.js';

/**
 * @typedef {(hostname: string, options: object,
 *   callback: (error: Error | null, address?: string | {address: string, family: number}[],
 *     family?: number) => void) => void} Lookup like `dns.lookup`
 */

/** The block that IANA assigns to the public internet; the rest of IPv6 has other uses. */
const publicIpv6 = lazy(() => ipaddr().IPv6.parseCIDR('2000::/3'));

/**
 * Whether an address is on the public internet. These are not: private, loopback, link-local,
 * unique-local, shared (CGNAT), multicast, unspecified, broadcast, reserved, documentation and
 * benchmark addresses, and IPv6 addresses that embed an IPv4 address (mapped, NAT64, 6to4, Teredo),
 * which would bypass the check.
 * @param {string} address
 * @returns {boolean} false also for text that is not an address
 */
export function isPublicAddress(address) {
  if (isIP(address) === 0) return false;
  const parsed = ipaddr().parse(address);
  if (parsed.range() !== 'unicast') return false;
  return parsed.kind() === 'ipv4' || parsed.match(publicIpv6());
}

/** @param {string} host */
export function addressError(host) {
  return new SluiceError(
    'ERR_CRAWL_ADDRESS_NOT_ALLOWED',
    // The message omits the address, which would reveal the internal network to the caller.
    `${host} is not on the public internet`,
  );
}

/**
 * A lookup that fails if any address of the name is not public.
 * @param {Lookup} lookup
 * @returns {Lookup}
 */
export function publicLookup(lookup) {
  return (hostname, options, callback) => {
    const wantsAll = /** @type {{all?: boolean}} */ (options).all === true;
    lookup(hostname, { ...options, all: true }, (error, found, family) => {
      if (error) {
        callback(error);
        return;
      }
      /** @type {{address: string, family: number}[]} */
      const addresses = Array.isArray(found)
        ? found
        : [{ address: found ?? '', family: family ?? 4 }];
      if (addresses.length === 0 || !addresses.every(({ address }) => isPublicAddress(address))) {
        callback(addressError(hostname));
      } else if (wantsAll) {
        callback(null, addresses);
      } else {
        callback(null, addresses[0].address, addresses[0].family);
      }
    });
  };
}
