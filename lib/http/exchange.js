import { NOT_RECORDED } from './middleware/audit-trail.js';

/** @typedef {import('./router.js').Context} Context */

/** A request with a known route: the `Context` of the route, filled by the handler step by step. */
export class Exchange {
  params;
  query;
  baseUrl = '';
  /** Set before the route is called. @type {Context['access']} */
  access = /** @type {any} */ (undefined);
  /** @type {any} */
  body = undefined;
  digest = '';
  /** @type {Context['note']} */
  note = NOT_RECORDED;
  /** The part of the URL before the path of the route. */
  prefix;

  /**
   * @param {Context['params']} params
   * @param {Context['query']} query
   * @param {string} prefix
   */
  constructor(params, query, prefix) {
    this.params = params;
    this.query = query;
    this.prefix = prefix;
  }
}
