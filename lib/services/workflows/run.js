/** Execution of one workflow. Main thread. */
import { NodeState, totalUsage } from './node-state.js';
import { PartError } from '../operations/child-jobs.js';
import { TaskGraph } from '../../primitives/scheduling/task-graph.js';
import { runAction } from './actions.js';
import { whenAborted } from '../../internal/util/abort.js';

/** @typedef {import('./node-state.js').NodeOutput} NodeOutput */
/** @typedef {import('../../primitives/scheduling/task-graph.js').TaskEvent<Record<string, NodeOutput>>} TaskEvent */

const kNamesMax = 10;

/**
 * The error in events and answers. Errors other than a PartError are internal ones.
 * @param {unknown} error
 */
function wireError(error) {
  if (error instanceof PartError) return error.wire;
  return { code: 'internal_error', message: 'Something went wrong.', type: 'server_error' };
}

/**
 * @param {string[]} names
 */
function listed(names) {
  const shown = names.slice(0, kNamesMax).join(', ');
  return names.length > kNamesMax ? `${shown} and ${names.length - kNamesMax} more` : shown;
}

/**
 * A workflow: an operation whose child jobs are the nodes of a graph.
 *
 * The native TaskGraph decides which node runs when and which is tried again. This class writes that
 * to the operation's log and keeps the outputs of the nodes. Each attempt ends with the operation's
 * terminal event.
 */
export class Workflow {
  /** @type {Map<string, NodeState>} */
  #nodes;
  #access;
  #concurrency;
  #parts;
  #crawl;
  #retry;
  #clock;
  #wallMs;
  #log;

  /**
   * @param {object} fields
   * @param {import('../operations/operations.js').Work} fields.work
   * @param {import('./schema.js').WorkflowRequest} fields.request
   * @param {import('../../jobs/admission/admission.js').Submission['access']} fields.access
   * @param {import('../operations/child-jobs.js').Parts} fields.parts
   * @param {import('../../jobs/settings.js').Settings} fields.options
   * @param {() => number} fields.wallMs Unix time
   */
  constructor({ work, request, access, parts, options, wallMs }) {
    this.work = work;
    this.metadata = request.metadata;
    this.#nodes = new Map(request.nodes.map((node) => [node.id, new NodeState(node)]));
    this.#access = access;
    this.#concurrency = request.concurrency ?? 5;
    this.#parts = parts;
    this.#crawl = { ...options.crawl, clock: options.clock };
    this.#retry = options.retry;
    this.#clock = options.clock;
    this.#log = options.logger;
    this.#wallMs = wallMs;
  }

  /** @returns {NodeState[]} in the order in which they were given */
  get nodes() {
    return [...this.#nodes.values()];
  }

  /**
   * The nodes that another attempt runs once the operation has ended: those that did not complete and
   * their dependants.
   * @returns {NodeState[]}
   */
  unfinished() {
    const again = new Set(this.nodes.filter(({ status }) => status !== 'completed'));
    /** @type {Map<string, NodeState[]>} */
    const dependants = new Map(this.nodes.map(({ id }) => [id, []]));
    for (const node of this.nodes) {
      for (const id of node.after) dependants.get(id)?.push(node);
    }
    // Iteration over a set also visits the elements added meanwhile.
    for (const { id } of again) for (const node of dependants.get(id) ?? []) again.add(node);
    return this.nodes.filter((node) => again.has(node));
  }

  /**
   * Runs these nodes; what they depend on besides has run before. The work is open, and has ended
   * when this resolves, or soon after.
   * @param {NodeState[]} nodes
   */
  async run(nodes) {
    const { work } = this;
    const { signal } = work;
    const running = new Set(nodes.map(({ id }) => id));
    /** @type {TaskGraph<Record<string, NodeOutput>>} */
    const graph = new TaskGraph({ clock: this.#clock });
    for (const node of nodes) {
      graph.add(node.id, {
        after: node.after.filter((id) => running.has(id)),
        run: (call) => this.#act(node, call.signal),
        retry: this.#retryOf(node),
        onFailure: node.request.on_failure,
      });
    }
    const release = whenAborted(signal, () => this.#onCancelled(nodes));
    try {
      const events = graph.run({
        concurrency: this.#concurrency,
        signal,
        onEvent: (event) => this.#onEvent(event),
      });
      while (!(await events.next()).done);
      this.#finish();
    } catch (error) {
      if (signal.aborted) return;
      this.#log.error({ err: error, workflow_id: work.id }, 'workflow failed');
      work.finish({ type: 'error', error: wireError(error) });
    } finally {
      release();
    }
  }

  /**
   * @param {NodeState} node
   * @returns {import('../../primitives/scheduling/retry-policy.js').RetryOptions}
   */
  #retryOf({ request: { retry } }) {
    if (retry === undefined) {
      const isRetryable = (/** @type {any} */ error) => error?.passing === true;
      return { ...this.#retry, isRetryable };
    }
    const { attempts, base_ms: baseMs, cap_ms: capMs } = retry;
    const isRetryable = (/** @type {any} */ error) => error?.retryable === true;
    return { attempts, baseMs, capMs, isRetryable };
  }

  /**
   * @param {NodeState} node
   * @param {AbortSignal} signal
   */
  #act(node, signal) {
    return runAction(node, {
      work: this.work,
      access: this.#access,
      parts: this.#parts,
      crawl: this.#crawl,
      outputOf: (id) => this.#nodes.get(id)?.output,
      signal,
    });
  }

  /** @param {TaskEvent} event comes before its effects, so that the log is in order */
  #onEvent(event) {
    const { work } = this;
    const node = /** @type {NodeState} */ (this.#nodes.get(event.id));
    switch (event.type) {
      case 'started':
        node.status = 'running';
        node.attempts = event.attempt;
        node.startedAtMs ??= this.#wallMs();
        work.emit('node_started', { node: node.id, attempt: event.attempt });
        break;
      case 'retry': {
        node.status = 'retrying';
        node.error = wireError(event.error);
        const { attempt, delayMs } = event;
        const { id, error } = node;
        work.emit('node_retry', {
          node: id,
          attempt,
          delay_ms: Math.round(delayMs),
          error,
          ...(node.type === 'map' && { items: node.openItems() }),
        });
        break;
      }
      case 'complete':
        node.output = event.value;
        node.error = undefined;
        node.end('completed', this.#wallMs());
        work.emit('node_complete', node.completion());
        break;
      case 'failed':
        this.#onFailed(node, event.error);
        break;
      case 'skipped':
        node.reason = event.reason;
        node.end('skipped', this.#wallMs());
        work.emit('node_skipped', { node: node.id, reason: event.reason });
        break;
    }
  }

  /**
   * @param {NodeState} node
   * @param {unknown} error
   */
  #onFailed(node, error) {
    node.error = wireError(error);
    node.end('failed', this.#wallMs());
    if (!(error instanceof PartError)) {
      this.#log.error({ err: error, workflow_id: this.work.id, node: node.id }, 'node failed');
    }
    const { id, attempts } = node;
    this.work.emit('node_failed', { node: id, attempts, error: node.error });
  }

  /** @param {NodeState[]} nodes */
  #onCancelled(nodes) {
    for (const node of nodes) {
      if (['pending', 'running', 'retrying'].includes(node.status)) {
        node.end('cancelled', this.#wallMs());
      }
    }
  }

  #finish() {
    const failed = this.nodes.filter(({ status, continued }) => status === 'failed' && !continued);
    const details = { nodes: this.counts() };
    const usage = this.usage();
    if (failed.length === 0) {
      this.work.finish({ type: 'complete', usage, details });
      return;
    }
    const names = failed.map(({ id }) => id);
    const error = {
      code: 'node_failed',
      message: `${names.length === 1 ? 'A node' : `${names.length} nodes`} failed: ${listed(names)}.`,
      type: 'workflow_error',
    };
    this.work.finish({ type: 'error', error, details: { ...details, failed: names, usage } });
  }

  /** @returns {Record<string, number>} number of nodes by status; statuses without nodes are absent */
  counts() {
    /** @type {Record<string, number>} */
    const counts = {};
    for (const { status } of this.#nodes.values()) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  }

  usage() {
    return totalUsage(this.nodes.map(({ output }) => output?.usage));
  }
}
