/** Finds the route of a request: paths by find-my-way, methods by a table per path. */
import { findMyWay, lazy } from '../internal/util/packages.js';

/**
 * Arguments of a route besides Node's request and response.
 * @typedef {object} Context
 * @property {Record<string, string | undefined>} params of the path, decoded
 * @property {import('node:querystring').ParsedUrlQuery} query
 * @property {string} baseUrl mount prefix of the handler; empty at the root
 * @property {Readonly<import('../jobs/policy/config.js').Access>} access access of the caller
 * @property {any} body as specified by the endpoint's `body`
 * @property {string} digest of the body's bytes, if the endpoint requests it; else empty
 * @property {import('./middleware/audit-trail.js').Note} note adds to the entry of the audit log; without
 *   effect for unrecorded endpoints
 */

/**
 * @typedef {(req: import('node:http').IncomingMessage, res: import('node:http').ServerResponse,
 *   context: Context) => void | Promise<void>} Handle a thrown error becomes the answer
 */

/**
 * One method of one path.
 * @typedef {object} Endpoint
 * @property {Handle} handle
 * @property {'caller' | 'stream' | 'admin' | 'metrics' | 'none'} [auth] `caller` (default): a key,
 *   if there are keys; `stream`: a key or a signed URL; `admin`: an administrator; `metrics`: an
 *   administrator, if there are keys; `none`: anyone, also after the gateway has closed
 * @property {'none' | 'json' | 'exact-json' | 'optional-json' | 'bytes' | 'stream'} [body] how the body is
 *   read before `handle`; `none` (default): discarded, `stream`: left to `handle`, `exact-json`: integers
 *   keep their digits, see `parseExact`
 * @property {boolean} [digest] whether the bytes of a JSON body are digested; default false
 * @property {number} [bodyBytesMax] default: the handler's
 * @property {string} [resource] resource named if the memory budget refuses the body; default
 *   `bodies`
 * @property {boolean} [head] whether a GET also answers HEAD; default true
 * @property {import('./middleware/audit-trail.js').AuditSpec} [audit] how requests are recorded in the audit
 *   log; default: not at all
 */

/** @typedef {{[method: string]: Endpoint}} Methods */
/**
 * Paths in the syntax of find-my-way. The methods of a path are listed here, or in a module that the first request
 * for the path loads.
 * @typedef {{[path: string]: Methods | (() => Promise<Methods>)}} Routes
 */

/** Longer than any path that Node's parser accepts. */
const PARAM_LENGTH_MAX = 1 << 20;
/** @type {Record<string, string | undefined>} */
const NO_PARAMS = Object.freeze({});
/** Bounds the work for a path of many slashes. */
const PREFIX_SEGMENTS_MAX = 16;

/** One path of the table. */
class Entry {
  /** @type {Methods | undefined} */
  #methods;
  #given;
  /** Value of the `Allow` header; empty until the methods are loaded. */
  allow = '';

  /**
   * @param {string} route the path in the table
   * @param {Routes[string]} given
   */
  constructor(route, given) {
    this.route = route;
    this.#given = given;
    if (typeof given !== 'function') this.#set(given);
  }

  /** @param {Methods} methods */
  #set(methods) {
    this.#methods = methods;
    this.allow = allowOf(methods);
    return methods;
  }

  /** Undefined until the methods are loaded. */
  get methods() {
    return this.#methods;
  }

  /** @returns {Promise<Methods>} a failure rejects only this call; the next one retries */
  async load() {
    if (typeof this.#given !== 'function') return this.#given;
    return this.#set(await this.#given());
  }
}

/** @typedef {{entry: Entry, params: Record<string, string | undefined>}} Found */

/**
 * @param {Entry[]} entries
 * @returns {import('find-my-way').Instance<any>}
 */
function finderOf(entries) {
  const finder = findMyWay()({
    maxParamLength: PARAM_LENGTH_MAX,
    // With a handler, `find` returns a result without a store for a malformed path.
    onBadUrl: () => {},
  });
  for (const entry of entries) finder.on('GET', entry.route, () => {}, entry);
  return finder;
}

/** The routes of one handler. */
export class Router {
  #finder;
  /** Paths without parameters, which most requests have. @type {Map<string, Found>} */
  #fixed = new Map();

  /** @param {Routes} routes */
  constructor(routes) {
    const entries = Object.entries(routes).map(([path, methods]) => new Entry(path, methods));
    for (const entry of entries) {
      if (!/[:*()]/.test(entry.route)) {
        this.#fixed.set(entry.route, { entry, params: NO_PARAMS });
      }
    }
    this.#finder = lazy(() => finderOf(entries));
  }

  /**
   * @param {string} path without the query
   * @returns {Found | 'malformed' | undefined} `malformed`: an escape in the path is not UTF-8
   */
  find(path) {
    const fixed = this.#fixed.get(path);
    if (fixed !== undefined) return fixed;
    const found = this.#finder().find('GET', path);
    if (found?.store === null) return 'malformed';
    // find-my-way allows an empty parameter: `/v1/jobs/` is the list, not a job without an id.
    if (found && found.params.id !== '') return { entry: found.store, params: found.params };
    return path.length > 1 && path.endsWith('/') ? this.find(path.slice(0, -1)) : undefined;
  }

  /**
   * Finds a route below any prefix: for `/ai/v1/jobs` it is `/v1/jobs`. The shortest prefix wins.
   * @param {string} path without the query
   * @returns {{found: Found | 'malformed' | undefined, prefix: string}} `prefix` is empty if there is none
   */
  findBelow(path) {
    const whole = this.find(path);
    if (whole !== undefined) return { found: whole, prefix: '' };
    let at = path.indexOf('/', 1);
    for (let depth = 0; at > 0 && depth < PREFIX_SEGMENTS_MAX; depth += 1) {
      const found = this.find(path.slice(at));
      if (found !== undefined) return { found, prefix: path.slice(0, at) };
      at = path.indexOf('/', at + 1);
    }
    return { found: undefined, prefix: '' };
  }
}

/** @param {Methods} methods @returns {string} value of the `Allow` header */
function allowOf(methods) {
  return Object.entries(methods)
    .flatMap(([method, { head = true }]) => (method === 'GET' && head ? ['GET', 'HEAD'] : [method]))
    .join(', ');
}

/**
 * @param {Methods | undefined} methods
 * @param {string | undefined} method
 * @returns {Endpoint | undefined}
 */
export function endpointOf(methods, method) {
  if (methods === undefined) return undefined;
  if (method === 'HEAD') return methods.GET?.head === false ? undefined : methods.GET;
  return method !== undefined && Object.hasOwn(methods, method) ? methods[method] : undefined;
}
