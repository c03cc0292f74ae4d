/** State of a workflow's nodes. */
import { isObject } from '../../internal/util/validate.js';

/** @typedef {'pending' | 'running' | 'retrying' | 'completed' | 'failed' | 'skipped' | 'cancelled'} NodeStatus */

/** @typedef {import('../../streams/types.js').Usage} Usage */

/**
 * Output of a node.
 * @typedef {object} NodeOutput
 * @property {string} text
 * @property {unknown[]} [items] of a map: the texts; of a crawl: the pages
 * @property {Usage} usage
 */

/**
 * A node in answers and in `gateway.workflows`.
 * @typedef {object} NodeView
 * @property {string} id
 * @property {'prompt' | 'map' | 'crawl'} type
 * @property {NodeStatus} status
 * @property {string[]} after ids of the nodes that it depends on
 * @property {number} attempts
 * @property {string} [text]
 * @property {unknown[]} [items] of a map: the texts; of a crawl: the pages, without their texts
 * @property {Usage} [usage]
 * @property {{code: string, message: string, type: string}} [error]
 * @property {string} [reason] of a skipped node: the node that failed
 * @property {number} [started_at] Unix seconds
 * @property {number} [ended_at] Unix seconds
 * @property {number} [duration_ms]
 */

/** Characters. `node_complete` omits longer texts: the tokens and the node's state have them. */
const EVENT_TEXT_MAX = 64 * 1024;

/** @param {import('./schema.js').NodeRequest} request @returns {NodeView['type']} */
function typeOf({ map, crawl }) {
  if (map !== undefined) return 'map';
  return crawl === undefined ? 'prompt' : 'crawl';
}

/**
 * A page without its text, which is part of the node's text.
 * @param {any} item
 */
function withoutText(item) {
  if (typeof item === 'string') return item;
  const { text: _, ...page } = item;
  return page;
}

/** @param {string} [json] @returns {any} undefined: it is not the JSON of an object */
function parsedObject(json = 'null') {
  try {
    const value = JSON.parse(json);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * One node of a workflow: its request, status and output. Main thread; lives as long as its workflow
 * is retained.
 */
export class NodeState {
  /** @type {NodeStatus} */
  status = 'pending';
  attempts = 0;
  /** @type {NodeOutput | undefined} */
  output;
  /** @type {{code: string, message: string, type: string} | undefined} */
  error;
  /** Of a skipped node: the id of the node that failed. @type {string | undefined} */
  reason;
  /** Unix milliseconds. @type {number | undefined} */
  startedAtMs;
  /** @type {number | undefined} */
  endedAtMs;
  /**
   * Of a map: the results of its items so far.
   * @type {(import('../operations/child-jobs.js').ChildResult | undefined)[]}
   */
  results = [];
  /** Characters of `output` and `results`. */
  keptChars = 0;
  /** Usage of an output that is not loaded. @type {Usage | undefined} */
  #savedUsage;

  /** @param {import('./schema.js').NodeRequest} request */
  constructor(request) {
    this.request = request;
    this.id = request.id;
    this.type = typeOf(request);
    this.after = request.after ?? [];
  }

  /**
   * @param {import('./schema.js').NodeRequest} request
   * @param {string} [json] of `toJson`; without it, and if it cannot be read, the node has not begun
   * @returns {NodeState} without its output, see `load`
   */
  static from(request, json) {
    const node = new NodeState(request);
    const { usage, ...state } = parsedObject(json) ?? {};
    Object.assign(node, state);
    node.#savedUsage = usage;
    return node;
  }

  /** @returns {string} its state without its output, JSON */
  toJson() {
    const { status, attempts, error, reason, startedAtMs, endedAtMs, keptChars, usage } = this;
    const state = { status, attempts, error, reason, startedAtMs, endedAtMs, keptChars, usage };
    return JSON.stringify(state);
  }

  /** @returns {string | undefined} its output without the usage, JSON; undefined: no output */
  outputJson() {
    if (this.output === undefined) return undefined;
    const { text, items } = this.output;
    return JSON.stringify({ text, items });
  }

  /** @param {string} json of `outputJson`; without effect if it cannot be read */
  load(json) {
    const { text, items } = parsedObject(json) ?? {};
    if (typeof text !== 'string') return;
    this.output = { text, items, usage: this.#savedUsage ?? totalUsage([]) };
  }

  /** Whether its state differs from that of a new node. */
  get hasBegun() {
    return this.status !== 'pending';
  }

  /** Whether it has an output, loaded or not. */
  get isGiven() {
    return this.usage !== undefined;
  }

  /** Whether its output is still to be loaded. */
  get isUnloaded() {
    return this.output === undefined && this.#savedUsage !== undefined;
  }

  /** @returns {Usage | undefined} of its output */
  get usage() {
    return this.output?.usage ?? this.#savedUsage;
  }

  /** Whether the workflow continues after a failure of the node. */
  get continued() {
    return this.request.on_failure === 'continue';
  }

  /** @returns {number[]} for a map: the indices of the items without a result */
  openItems() {
    return [...this.results.keys()].filter((item) => this.results[item] === undefined);
  }

  /** Clears status and output, for another attempt of the workflow. */
  reset() {
    this.status = 'pending';
    this.attempts = 0;
    this.output = undefined;
    this.#savedUsage = undefined;
    this.error = undefined;
    this.reason = undefined;
    this.startedAtMs = undefined;
    this.endedAtMs = undefined;
    this.results = [];
    this.keptChars = 0;
  }

  /**
   * @param {NodeStatus} status final
   * @param {number} nowMs Unix time
   */
  end(status, nowMs) {
    this.status = status;
    if (this.startedAtMs !== undefined) this.endedAtMs = nowMs;
  }

  /** @returns {object} data of the event `node_complete` */
  completion() {
    const { id, attempts, output } = this;
    const { text = '', items, usage } = output ?? {};
    return {
      node: id,
      attempts,
      ...(text.length <= EVENT_TEXT_MAX ? { text } : { text_omitted: true }),
      ...(items !== undefined && { items: items.length }),
      usage,
    };
  }

  /**
   * @param {{text: boolean}} options
   * @returns {NodeView}
   */
  describe({ text }) {
    const { id, type, status, after, attempts, output, usage, error, reason } = this;
    const { startedAtMs, endedAtMs } = this;
    return {
      id,
      type,
      status,
      after,
      attempts,
      ...(text && output !== undefined && { text: output.text }),
      ...(text && output?.items !== undefined && { items: output.items.map(withoutText) }),
      ...(usage !== undefined && { usage }),
      ...(error !== undefined && { error }),
      ...(reason !== undefined && { reason }),
      ...(startedAtMs !== undefined && { started_at: startedAtMs / 1000 }),
      ...(endedAtMs !== undefined && {
        ended_at: endedAtMs / 1000,
        duration_ms: endedAtMs - /** @type {number} */ (startedAtMs),
      }),
    };
  }
}

/**
 * @param {(Usage | undefined)[]} usages
 * @returns {Usage} the sum of their counts; `estimated` if one of them is
 */
export function totalUsage(usages) {
  const total = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
  let estimated = false;
  for (const usage of usages) {
    if (usage === undefined) continue;
    const { prompt_tokens: prompt, completion_tokens: completion } = usage;
    total.prompt_tokens += prompt;
    total.completion_tokens += completion;
    total.total_tokens += usage.total_tokens ?? prompt + completion;
    estimated ||= usage.estimated === true;
  }
  return estimated ? { ...total, estimated } : total;
}
