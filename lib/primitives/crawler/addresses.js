/**
 * Which addresses a crawl may connect to, and a name lookup that lets no other through.
 *
 * A public name may resolve to a private address, and to another one a moment later. So the check
 * is made inside the lookup that the connection itself uses: it goes to an address that was
 * checked, or nowhere.
 */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { SluiceError } from '../../internal/util/errors.js';

/**
 * @typedef {(hostname: string, options: object,
 *   callback: (error: Error | null, address?: any, family?: number) => void) => void} Lookup
 *   as `dns.lookup`
 */

/** The block that IANA gives out to the public internet; the rest of IPv6 has other uses. */
const publicIpv6 = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Whether an address is on the public internet: not private, loopback, link-local, unique-local,
 * shared (CGNAT), multicast, unspecified, broadcast, reserved, for documentation or benchmarks, and
 * no IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4, Teredo), which would lead round
 * the check.
 * @param {string} address
 * @returns {boolean} false for what is no address, too
 */
export function isPublicAddress(address) {
  if (isIP(address) === 0) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== 'unicast') return false;
  return parsed.kind() === 'ipv4' || parsed.match(publicIpv6);
}

/** @param {string} host */
export function addressError(host) {
  return new SluiceError(
    'ERR_CRAWL_ADDRESS_NOT_ALLOWED',
    // Where it leads is not said: whoever asks may not be one to know the network behind.
    `${host} is not on the public internet`,
  );
}

/**
 * A lookup that fails if any address of the name is not public: a name with both kinds has no
 * business with either.
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
      const addresses = Array.isArray(found) ? found : [{ address: found, family: family ?? 4 }];
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
