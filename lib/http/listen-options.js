/** The options of `gateway.listen`. Checks, flags and documentation are generated from these rows. */

/** @type {readonly import('../internal/util/option-table.js').OptionRow[]} */
export const LISTEN_OPTIONS = Object.freeze([
  {
    path: 'port',
    type: 'integer',
    min: 0,
    max: 65_535,
    default: 0,
    flag: 'port',
    help: 'port to listen on; 0 picks a free one',
  },
  {
    path: 'host',
    type: 'string',
    takes: 'a name or an address',
    // The check of reachable addresses has a better message for it.
    empty: true,
    default: '127.0.0.1',
    flag: 'host',
    flagValue: 'NAME',
    help: 'address to listen on; an address that other machines can reach needs keys, or `open`',
  },
  {
    path: 'open',
    type: 'boolean',
    default: false,
    flag: 'open',
    help: 'without keys, allow unauthenticated access from other machines, under any host name',
  },
  {
    path: 'allowedHosts',
    type: 'other',
    jsType: 'string[]',
    takes: 'an array of names',
    help: 'without keys, further names that callers may use for this machine, without a port',
    more: 'Next to its [own names](access.md#keys).',
  },
  {
    path: 'adminToken',
    type: 'string',
    takes: 'a token of visible ASCII characters',
    defaultText: 'callers on this machine are administrators',
    help: 'without keys, the bearer token of administrators (`Authorization: Bearer TOKEN`)',
    more: '`sluice serve` creates one at start.',
  },
  {
    path: 'maxConnections',
    type: 'integer',
    unit: 'connections',
    flag: 'max-connections',
    defaultText: 'the limit of open files less a reserve',
    help: 'connections at once; further ones are closed at once',
  },
  {
    path: 'maxConnectionsPerAddress',
    type: 'integer',
    unit: 'connections',
    flag: 'max-connections-per-address',
    defaultText: 'no limit',
    help: 'connections of one client address; proxies share one',
  },
  {
    path: 'keepAliveTimeoutMs',
    type: 'milliseconds',
    min: 1,
    default: 75_000,
    flag: 'keep-alive-timeout-ms',
    help: 'time after which an idle connection is closed; must exceed that of a load balancer in front',
    more: 'Most load balancers close idle connections after 60 s: see [deployment](deployment.md#time-outs).',
  },
  {
    path: 'headersTimeoutMs',
    type: 'milliseconds',
    min: 1,
    flag: 'headers-timeout-ms',
    defaultText: '5 s above keepAliveTimeoutMs',
    help: 'time limit for the head of a request; must exceed the time for idle connections',
  },
]);

// types: ListenOptions
/**
 * @typedef {object} ListenOptions
 * @property {number} [port] port to listen on; 0 picks a free one; default 0
 * @property {string} [host] address to listen on; an address that other machines can reach needs keys, or
 *   `open`; default `127.0.0.1`
 * @property {boolean} [open] without keys, allow unauthenticated access from other machines, under any host
 *   name; default false
 * @property {string[]} [allowedHosts] without keys, further names that callers may use for this machine,
 *   without a port
 * @property {string} [adminToken] without keys, the bearer token of administrators (`Authorization: Bearer
 *   TOKEN`); default: callers on this machine are administrators
 * @property {number} [maxConnections] connections at once; further ones are closed at once; default: the
 *   limit of open files less a reserve
 * @property {number} [maxConnectionsPerAddress] connections of one client address; proxies share one;
 *   default: no limit
 * @property {number} [keepAliveTimeoutMs] time after which an idle connection is closed; must exceed that
 *   of a load balancer in front; default 75000
 * @property {number} [headersTimeoutMs] time limit for the head of a request; must exceed the time for idle
 *   connections; default: 5 s above keepAliveTimeoutMs
 */
// end of types
