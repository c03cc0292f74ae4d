import http from 'node:http';

/** Names that Node accepts, as the code of this package has them: a few dozen. @type {Set<string>} */
const names = new Set();
const NAMES_MAX = 500;

/** @param {any} name @returns {boolean} whether Node accepts it */
function isName(name) {
  if (names.has(name)) return true;
  if (typeof name !== 'string' || !/^[\w-]+$/.test(name)) return false;
  if (names.size < NAMES_MAX) names.add(name);
  return true;
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
 * @param {any[]} list of names and values
 * @param {string} name
 * @returns {number} its place; -1: none
 */
function placeOf(list, name) {
  for (let i = 0; i < list.length; i += 2) {
    const each = list[i];
    if (each === name) return i;
    if (each.length === name.length && each.toLowerCase() === name.toLowerCase()) return i;
  }
  return -1;
}

/**
 * Node's response, with its headers in a list. Node keeps headers in an object by their names in lower case, which V8
 * stores as a dictionary: for an answer with ten headers that takes longer than the rest of its head. The head has
 * the same bytes. Calls beyond those of ordinary answers move the headers to Node's object and take Node's own way.
 */
export class ListedHeadersResponse extends http.ServerResponse {
  /** Name, value, name, value, ... in the order of their first calls; undefined: Node has them. @type {any[] | undefined} */
  #list = [];

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
    const isUsual = isName(name) && isPlain(value);
    if (list === undefined || this.headersSent || !isUsual) {
      this.#unlist();
      return super.setHeader(name, value);
    }
    const place = placeOf(list, name);
    if (place < 0) list.push(name, value);
    else [list[place], list[place + 1]] = [name, value];
    return this;
  }

  /** @override @param {string} name */
  getHeader(name) {
    if (this.#list === undefined || typeof name !== 'string') return super.getHeader(name);
    const place = placeOf(this.#list, name);
    return place < 0 ? undefined : this.#list[place + 1];
  }

  /** @override @param {string} name */
  hasHeader(name) {
    if (this.#list === undefined || typeof name !== 'string') return super.hasHeader(name);
    return placeOf(this.#list, name) >= 0;
  }

  /** @override */
  getHeaders() {
    const list = this.#list;
    if (list === undefined) return super.getHeaders();
    const headers = Object.create(null);
    for (let i = 0; i < list.length; i += 2) headers[list[i].toLowerCase()] = list[i + 1];
    return headers;
  }

  /** @override */
  getHeaderNames() {
    return this.getRawHeaderNames().map((name) => name.toLowerCase());
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
