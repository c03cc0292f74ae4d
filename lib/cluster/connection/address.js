/** Parses the URL of Redis. Pure functions. */
import { rangeError } from '../../internal/util/errors.js';

/**
 * @typedef {object} Endpoint
 * @property {string} host name or address, IPv6 without brackets
 * @property {number} port
 */

/**
 * @typedef {object} RedisAddress
 * @property {string} host of the server; of the first Sentinel, if there are Sentinels
 * @property {number} port
 * @property {string} user empty: the default user
 * @property {string} password empty: none
 * @property {number} db
 * @property {boolean} isEncrypted by TLS
 * @property {Endpoint[]} sentinels that know the address of the server; empty: `host` and `port` are the server's
 * @property {string} service the name by which Sentinels know the server; empty without Sentinels
 * @property {string} shown the URL without its password, for messages
 */

const FORMS =
  'redis://[user[:password]@]host[:port][/db], rediss:// of the same form, or' +
  ' redis-sentinel://[user:password@]host[:port][,host[:port]]/NAME[/db]';
const PORT_DEFAULT = 6379;
const SENTINEL_PORT_DEFAULT = 26_379;
/** `scheme://`, authority, path, and a rest that no valid URL has. */
const PARTS = /^([a-z][a-z\d+.-]*:)\/\/([^/?#]*)([^?#]*)(.*)$/is;

/**
 * @param {string} at name of the option as the caller wrote it
 * @param {string} text
 * @returns {RedisAddress}
 * @throws {RangeError} its message omits the URL, which may hold a password
 */
export function parseRedisUrl(at, text) {
  const [, scheme = '', authority, path, rest] = PARTS.exec(text) ?? [];
  switch (scheme.toLowerCase()) {
    case 'redis:':
    case 'rediss:':
      break;
    case 'redis-sentinel:':
    case 'rediss-sentinel:':
      return parseSentinels(at, { scheme: scheme.toLowerCase(), authority, path, rest });
    default:
      throw rangeError(`${at} takes ${FORMS}`);
  }
  const { user, password, host, port, shown } = parseServer(at, authority, PORT_DEFAULT);
  checkRest(at, rest);
  if (!/^(\/\d{0,5})?$/.test(path)) throw rangeError(`${at} takes ${FORMS}; the db is a number`);
  const db = Number(path.slice(1));
  return {
    ...{ host, port, user, password, db },
    ...{ isEncrypted: scheme.toLowerCase() === 'rediss:', sentinels: [], service: '' },
    shown: `${scheme.toLowerCase()}//${shown}${db === 0 ? '' : `/${db}`}`,
  };
}

/**
 * @param {string} at
 * @param {{scheme: string, authority: string, path: string, rest: string}} parts
 * @returns {RedisAddress}
 */
function parseSentinels(at, { scheme, authority, path, rest }) {
  checkRest(at, rest);
  const [, service, db = ''] = /^\/([^/]+)(?:\/(\d{0,5}))?$/.exec(path) ?? [];
  if (service === undefined) throw rangeError(`${at} takes ${FORMS}`);
  const end = authority.lastIndexOf('@') + 1;
  const credentials = authority.slice(0, end);
  const servers = authority
    .slice(end)
    .split(',')
    .map((server) => parseServer(at, credentials + server, SENTINEL_PORT_DEFAULT));
  const [{ user, password, host, port }] = servers;
  const [first, ...others] = servers.map(({ shown }) => shown);
  const hosts = [first, ...others.map((one) => one.slice(one.lastIndexOf('@') + 1))].join(',');
  return {
    ...{ host, port, user, password, db: Number(db) },
    isEncrypted: scheme === 'rediss-sentinel:',
    sentinels: servers.map((one) => ({ host: one.host, port: one.port })),
    service: decoded(at, service),
    shown: `${scheme}//${hosts}/${service}${Number(db) === 0 ? '' : `/${Number(db)}`}`,
  };
}

/**
 * @param {string} at
 * @param {string} authority `[user[:password]@]host[:port]`
 * @param {number} portDefault
 */
function parseServer(at, authority, portDefault) {
  const text = `redis://${authority}`;
  if (!URL.canParse(text)) throw rangeError(`${at} takes ${FORMS}`);
  const url = new URL(text);
  const { hostname, port } = url;
  if (/^$|,/.test(hostname) || port === '0') throw rangeError(`${at} takes ${FORMS}`);
  const [user, password, host] = [url.username, url.password, hostname].map((part) =>
    decoded(at, part),
  );
  return {
    ...{ user, password },
    host: host.replace(/^\[|\]$/g, ''),
    port: port === '' ? portDefault : Number(port),
    shown: (user === '' ? '' : `${url.username}@`) + url.host,
  };
}

/**
 * @param {string} at
 * @param {string} rest
 */
function checkRest(at, rest) {
  if (rest !== '') throw rangeError(`${at} takes ${FORMS}, without parameters`);
}

/**
 * @param {string} at
 * @param {string} part
 */
function decoded(at, part) {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw Object.assign(rangeError(`${at} takes ${FORMS}, percent-encoded`), { cause });
  }
}
