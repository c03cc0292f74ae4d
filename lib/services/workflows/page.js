/**
 * Pages of a workflow's nodes, of bounded size, and the text of one node piece by piece. Pure functions
 * over NodeState; for the routes.
 */
import { badRequest } from '../../internal/util/http-error.js';

/** @typedef {import('./node-state.js').NodeState} NodeState */
/** @typedef {import('./node-state.js').NodeView} NodeView */

/** JSON of one answer's nodes. */
const PAGE_BYTES_MAX = 4 * 1024 * 1024;
const NODES_MAX = 1000;
const SLICE_CHARS = 64 * 1024;

/** @param {unknown} value */
const jsonBytes = (value) => Buffer.byteLength(JSON.stringify(value));

/**
 * @param {NodeState} node
 * @param {number} bytesMax
 * @returns {{view: NodeView, bytes: number}} without text and items if the whole view is larger
 */
function fitted(node, bytesMax) {
  const bare = node.describe({ text: false });
  if (!node.isGiven) return { view: bare, bytes: jsonBytes(bare) };
  // JSON takes at least one byte per character.
  if (node.keptChars <= bytesMax && !node.isUnloaded) {
    const view = node.describe({ text: true });
    const bytes = jsonBytes(view);
    if (bytes <= bytesMax) return { view, bytes };
  }
  const view = { ...bare, text_omitted: true };
  return { view, bytes: jsonBytes(view) };
}

/**
 * @param {NodeState} node
 * @returns {NodeView & {text_omitted?: boolean}} with its text and items if they fit in one answer, else with
 *   `text_omitted`
 */
export function nodeView(node) {
  return fitted(node, PAGE_BYTES_MAX).view;
}

/**
 * @param {NodeState[]} nodes
 * @param {{after?: string, limit?: number}} [query] see `pageOfNodes`
 * @returns {NodeState[]} nodes whose outputs must be loaded before a page is made: each that may fit
 */
export function outputsOfPage(nodes, { after, limit = NODES_MAX } = {}) {
  const start = after === undefined ? 0 : nodes.findIndex(({ id }) => id === after) + 1;
  let left = PAGE_BYTES_MAX;
  return nodes.slice(start, start + limit).filter(({ isUnloaded, keptChars }) => {
    if (!isUnloaded || keptChars > left) return false;
    // A node keeps each character twice at most.
    left -= keptChars / 2;
    return true;
  });
}

/**
 * Nodes in the order of the request, up to 4 MiB of JSON. Texts and items that do not fit are omitted.
 * @param {NodeState[]} nodes
 * @param {{after?: string, limit?: number}} [query] `after`: id of the last node of the previous page
 * @returns {{nodes: NodeView[], hasMore: boolean}}
 * @throws {import('../../internal/util/http-error.js').HttpError} 400 for an unknown `after`
 */
export function pageOfNodes(nodes, { after, limit = NODES_MAX } = {}) {
  const start = after === undefined ? 0 : nodes.findIndex(({ id }) => id === after) + 1;
  if (after !== undefined && start === 0) {
    throw badRequest('invalid_value', 'after', 'after must be the id of a node of this workflow.');
  }
  /** @type {NodeView[]} */
  const page = [];
  let left = PAGE_BYTES_MAX;
  for (const node of nodes.slice(start, start + limit)) {
    const { view, bytes } = fitted(node, left);
    if (bytes > left && page.length > 0) break;
    page.push(view);
    left -= bytes;
  }
  return { nodes: page, hasMore: start + page.length < nodes.length };
}

/**
 * @param {Record<string, unknown>} query of `GET /v1/workflows/{id}`
 * @returns {{after?: string, limit?: number}}
 * @throws {import('../../internal/util/http-error.js').HttpError} 400
 */
export function checkNodesQuery({ after, limit }) {
  if (after !== undefined && typeof after !== 'string') {
    throw badRequest('invalid_value', 'after', 'after must be the id of a node of this workflow.');
  }
  if (limit === undefined) return { after };
  if (typeof limit !== 'string' || !/^\d{1,4}$/.test(limit) || +limit < 1 || +limit > NODES_MAX) {
    const message = `limit must be an integer from 1 to ${NODES_MAX}.`;
    throw badRequest('invalid_value', 'limit', message);
  }
  return { after, limit: +limit };
}

/**
 * @param {NodeState} node
 * @param {unknown} item of a map or crawl: the item's number from 0, as a string; undefined: the whole
 * @returns {string} empty while the node has no text
 * @throws {import('../../internal/util/http-error.js').HttpError} 400
 */
export function textOf({ output }, item) {
  if (item === undefined) return output?.text ?? '';
  const items = output?.items ?? [];
  const found = typeof item === 'string' && /^\d{1,9}$/.test(item) ? items[+item] : undefined;
  if (typeof found === 'string') return found;
  if (found !== undefined) return /** @type {any} */ (found).text;
  const last = items.length - 1;
  const takes = last < 0 ? 'this node has no items' : `item must be an integer from 0 to ${last}`;
  throw badRequest('invalid_value', 'item', `${takes}.`);
}

/**
 * @param {string} text
 * @returns {Generator<string>} its slices, each of whole characters
 */
export function* slicesOf(text) {
  for (let at = 0; at < text.length;) {
    let end = Math.min(at + SLICE_CHARS, text.length);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last <= 0xdbff) end -= 1;
    yield text.slice(at, end);
    at = end;
  }
}
