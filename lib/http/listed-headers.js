import http from 'node:http';

/** Lower-case forms of valid header names, by name: the few dozen that this package uses. @type {Map<string, string>} */
const keys = new Map();
const KEYS_MAX = 500;

/** @param {any} name @returns {string | undefined} in lower case; undefined: Node may refuse it */
function keyOf(name) {
  const known = keys.get(name);
  if (known !== undefined) return known;
  if (typeof name !== 'string' || !/^[\w-]+$/.test(name)) return undefined;
  const key = name.toLowerCase();
  if (keys.size < KEYS_MAX) keys.set(name, key);
  return key;
}

/** @param {any} value @returns {boolean} whether Node accepts it without a further look */
function isPlain(value) {
  if (typeof value === 'number') return true;
  if (typeof value !== 'string') return false;
  for (let i = 0; i < value.length; i += 1) {
    const code = value.charCodeAt(i);
    if (code < 0x20 || code > 0x7e) return false;
  }
  return true;
}

/**
 * Node's response, with its headers in a list. Node keeps headers in an object by their names in lower case, which V8
 * stores as a dictionary: for an answer with ten headers that takes longer than the rest of its head. The head has
 * the same bytes. Calls beyond those of ordinary answers move the headers to Node's object and take Node's own way.
 */
export class ListedHeadersResponse extends http.ServerResponse {
  /** Name, value, name, value, ... in the order of their first calls; undefined: Node has them. @type {any[] | undefined} */
  #list = [];
  /** The names in lower case. @type {string[]} */
  #keys = [];

  /** Moves the headers to Node's object; afterwards all calls are Node's. */
  #unlist() {
    const list = this.#list;
    if (list === undefined || this.headersSent) return;
    this.#list = undefined;
    for (let i = 0; i < list.length; i += 2) super.setHeader(list[i], list[i + 1]);
  }

  /** @override @param {string} name @param {any} value */
  setHeader(name, value) {
    const list = this.#list;
    const key = keyOf(name);
    if (list === undefined || key === undefined || !isPlain(value) || this.headersSent) {
      this.#unlist();
      return super.setHeader(name, value);
    }
    const place = this.#keys.indexOf(key);
    if (place < 0) {
      this.#keys.push(key);
      list.push(name, value);
    } else {
      list[2 * place] = name;
      list[2 * place + 1] = value;
    }
    return this;
  }

  /** @override @param {string} name */
  getHeader(name) {
    const key = keyOf(name);
    if (this.#list === undefined || key === undefined) return super.getHeader(name);
    const place = this.#keys.indexOf(key);
    return place < 0 ? undefined : this.#list[2 * place + 1];
  }

  /** @override @param {string} name */
  hasHeader(name) {
    const key = keyOf(name);
    return this.#list === undefined || key === undefined
      ? super.hasHeader(name)
      : this.#keys.includes(key);
  }

  /** @override */
  getHeaders() {
    const list = this.#list;
    if (list === undefined) return super.getHeaders();
    const headers = Object.create(null);
    this.#keys.forEach((key, i) => (headers[key] = list[2 * i + 1]));
    return headers;
  }

  /** @override */
  getHeaderNames() {
    return this.#list === undefined ? super.getHeaderNames() : [...this.#keys];
  }

  /** @returns {string[]} */
  getRawHeaderNames() {
    // @ts-expect-error: missing from the types of ServerResponse
    if (this.#list === undefined) return super.getRawHeaderNames();
    return this.#list.filter((_each, i) => i % 2 === 0);
  }

  /** @override @param {string} name @param {any} value */
  appendHeader(name, value) {
    this.#unlist();
    return super.appendHeader(name, value);
  }

  /** @override @param {string} name */
  removeHeader(name) {
    this.#unlist();
    super.removeHeader(name);
  }

  /** @override @param {number} status @param {any} [reason] or the headers @param {any} [given] headers */
  writeHead(status, reason, given) {
    const headers = typeof reason === 'string' ? given : (given ?? reason);
    if (Array.isArray(headers)) this.#unlist();
    if (this.#list === undefined || this.headersSent) return super.writeHead(status, reason, given);
    for (const name of Object.keys(headers ?? {})) this.setHeader(name, headers[name]);
    const phrase = typeof reason === 'string' ? reason : undefined;
    return super.writeHead(status, /** @type {any} */ (phrase), /** @type {any} */ (this.#list));
  }
}
