/** The options of TLS, their checks, and the trusted certificates. Loads no client. */
import { readFileSync } from 'node:fs';
import { checkOptions } from '../../internal/util/validate.js';
import { typeError } from '../../internal/util/errors.js';
import { lazy, tls } from '../../internal/util/packages.js';

/** @typedef {import('node:tls').ConnectionOptions} ConnectionOptions */

/**
 * Options of `tls.connect` that can be handed to another thread: no functions, and no address.
 * @typedef {object} RedisTls
 * @property {ConnectionOptions['ca']} [ca] trusted certificate authorities; default: those of Node, of the system
 *   and of NODE_EXTRA_CA_CERTS
 * @property {ConnectionOptions['cert']} [cert] certificate of this client
 * @property {ConnectionOptions['ciphers']} [ciphers]
 * @property {ConnectionOptions['crl']} [crl]
 * @property {ConnectionOptions['ecdhCurve']} [ecdhCurve]
 * @property {ConnectionOptions['key']} [key] of `cert`
 * @property {ConnectionOptions['maxVersion']} [maxVersion]
 * @property {ConnectionOptions['minVersion']} [minVersion]
 * @property {ConnectionOptions['passphrase']} [passphrase] of `key` or `pfx`
 * @property {ConnectionOptions['pfx']} [pfx] in place of `cert` and `key`
 * @property {ConnectionOptions['rejectUnauthorized']} [rejectUnauthorized] false: accepts any certificate;
 *   default true
 * @property {ConnectionOptions['secureOptions']} [secureOptions]
 * @property {ConnectionOptions['servername']} [servername] name that the certificate must have; default: the host
 * @property {ConnectionOptions['sigalgs']} [sigalgs]
 */

const NAMES = Object.freeze([
  ...['ca', 'cert', 'ciphers', 'crl', 'ecdhCurve', 'key', 'maxVersion', 'minVersion', 'passphrase'],
  ...['pfx', 'rejectUnauthorized', 'secureOptions', 'servername', 'sigalgs'],
]);

/** Paths at which operating systems keep their trusted certificates. */
const SYSTEM_FILES = Object.freeze([
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
]);

/** Lasting errors: a bad certificate, or a server without TLS. */
const LASTING = new RegExp(
  '^(ERR_TLS_|ERR_SSL_|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERROR_IN_C|INVALID_CA$|' +
    'INVALID_PURPOSE$|PATH_LENGTH_|HOSTNAME_MISMATCH$|EPROTO$)',
);

/**
 * @param {string} at name of the option as the caller wrote it
 * @param {unknown} given
 * @returns {RedisTls}
 * @throws {TypeError} naming the option
 */
export function checkTls(at, given) {
  const options = checkOptions(at, /** @type {object | undefined} */ (given), [...NAMES]);
  const { servername, rejectUnauthorized } = /** @type {Record<string, unknown>} */ (options);
  if (servername !== undefined && typeof servername !== 'string') {
    throw typeError(`${at}.servername takes a string`);
  }
  if (rejectUnauthorized !== undefined && typeof rejectUnauthorized !== 'boolean') {
    throw typeError(`${at}.rejectUnauthorized takes true or false`);
  }
  try {
    tls().createSecureContext(options);
    structuredClone(options);
  } catch (/** @type {any} */ cause) {
    throw Object.assign(typeError(`${at} is not usable: ${cause.message}`), { cause });
  }
  return options;
}

/** @param {string | undefined} path @returns {string[]} the certificates of a file, if it can be read */
function certificatesIn(path) {
  try {
    return path ? [readFileSync(path, 'utf8')] : [];
  } catch {
    return [];
  }
}

/**
 * The trusted certificates if the options name none: those of Node, of NODE_EXTRA_CA_CERTS
 * and of the system.
 */
const trusted = lazy(() => {
  // `getCACertificates` is absent before Node 22.15.
  const { getCACertificates } = /** @type {any} */ (tls());
  if (getCACertificates !== undefined) {
    return [...getCACertificates('default'), ...getCACertificates('system')];
  }
  const { NODE_EXTRA_CA_CERTS, SSL_CERT_FILE } = process.env;
  const paths = SSL_CERT_FILE ? [SSL_CERT_FILE] : SYSTEM_FILES;
  const system = paths.flatMap((path) => certificatesIn(path)).slice(0, 1);
  return [...tls().rootCertificates, ...certificatesIn(NODE_EXTRA_CA_CERTS), ...system];
});

/**
 * @param {RedisTls} options checked
 * @returns {ConnectionOptions} options of `tls.connect`, without an address; create them
 *   once: loading the certificates takes time
 */
export function connectionOptions(options) {
  const { servername, rejectUnauthorized, ...ofContext } = options;
  const secureContext = tls().createSecureContext({ ...ofContext, ca: options.ca ?? trusted() });
  return {
    secureContext,
    ...(servername !== undefined && { servername }),
    ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
  };
}

/**
 * @param {any} error of a connection
 * @returns {boolean} whether TLS itself failed, a lasting fault
 */
export const isTlsError = (error) => LASTING.test(String(error?.code));
