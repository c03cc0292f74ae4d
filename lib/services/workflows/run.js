/** Execution of one workflow. Main thread. */
import { WorkflowState } from './state.js';
import { ChildJobError } from '../operations/child-jobs.js';
import { TaskGraph } from '../../primitives/scheduling/task-graph.js';
import { runAction } from './actions.js';
import { internalError } from '../operations/operation.js';
import { whenAborted } from '../../internal/util/abort.js';

/** @typedef {import('./node-state.js').NodeOutput} NodeOutput */
/** @typedef {import('./node-state.js').NodeState} NodeState */
/** @typedef {import('../../primitives/scheduling/task-graph.js').TaskEvent<Record<string, NodeOutput>>} TaskEvent */

const NAMES_MAX = 10;
/** Bytes per character of a string with characters beyond Latin-1. */
const CHAR_BYTES = 2;
/** Maximum attempts of a node, even if its `retry` allows more. */
const ATTEMPTS_MAX = 100;
/** The wait before a node's n-th retry is at least 2^(n-1) ms, up to this. */
const RETRY_FLOOR_MAX_MS = 1000;

/**
 * The error in events and answers. Errors other than a ChildJobError are reported as internal errors.
 * @param {unknown} error
 */
function errorToJson(error) {
  if (error instanceof ChildJobError) return error.wire;
  return internalError();
}

/**
 * @param {string[]} names
 */
function listed(names) {
  const shown = names.slice(0, NAMES_MAX).join(', ');
  return names.length > NAMES_MAX ? `${shown} and ${names.length - NAMES_MAX} more` : shown;
}

/**
 * A workflow: an operation whose child jobs are the nodes of a graph.
 *
 * The native TaskGraph decides when each node runs and whether it is retried. This class writes its
 * decisions to the operation's log and keeps the outputs of the nodes. Each attempt ends with the
 * operation's terminal event.
 */
export class Workflow extends WorkflowState {
  #access;
  #concurrency;
  #parts;
  #reservations;
  #crawl;
  #prompts;
  #retryBudget;
  /** Sum of the nodes' `keptChars`. */
  #keptChars = 0;
  #operations;
  #retry;
  #clock;
  #wallMs;
  #log;

  /**
   * @param {object} fields
   * @param {import('../operations/operation.js').Operation} fields.operation
   * @param {import('./schema.js').WorkflowRequest} fields.request
   * @param {Record<string, string>} [fields.saved] see WorkflowState
   * @param {import('../../jobs/admission/types.js').Submission['access']} fields.access
   * @param {import('../operations/operations.js').Operations} fields.operations
   * @param {import('../operations/child-jobs.js').ChildJobs} fields.parts
   * @param {import('./actions.js').WorkReservations} fields.reservations
   * @param {import('../../internal/util/keyed-semaphore.js').KeyedSemaphore} fields.prompts see `ActionContext`
   * @param {import('../../jobs/execution/retry-budget.js').RetryBudget} fields.retryBudget
   * @param {import('../../jobs/settings.js').Settings} fields.options
   * @param {() => number} fields.wallMs Unix time
   */
  constructor({ operation, request, saved, access, options, wallMs, ...shared }) {
    super(request, saved);
    const { operations, parts, reservations, prompts, retryBudget } = shared;
    this.#operations = operations;
    this.operation = operation;
    this.#access = access;
    this.#concurrency = request.concurrency ?? 5;
    this.#parts = parts;
    this.#reservations = reservations;
    this.#prompts = prompts;
    this.#retryBudget = retryBudget;
    this.#crawl = { ...options.crawl, clock: options.clock };
    this.#retry = options.retry;
    this.#clock = options.clock;
    this.#log = options.logger;
    this.#wallMs = wallMs;
  }

  get access() {
    return this.#access;
  }

  /**
   * Runs these nodes; their other dependencies have completed before. The operation is open at the
   * call and ends by the time this resolves, or soon after.
   * @param {NodeState[]} nodes
   */
  async run(nodes) {
    const { operation } = this;
    const { signal } = operation;
    const running = new Set(nodes.map(({ id }) => id));
    this.#keptChars = this.nodes.reduce((sum, { keptChars }) => sum + keptChars, 0);
    this.#operations.holds(operation, CHAR_BYTES * this.#keptChars);
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
    const release = whenAborted(signal, () => this.cancel(nodes, this.#wallMs()));
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
      this.#log.error({ err: error, workflow_id: operation.id }, 'workflow failed');
      operation.finish({ type: 'error', error: errorToJson(error) });
    } finally {
      release();
    }
  }

  /**
   * @param {NodeState} node
   * @returns {import('../../primitives/scheduling/retry-policy.js').RetryOptions}
   */
  #retryOf(node) {
    const { retry } = node.request;
    const { attempts: asked = 1, base_ms: baseMs, cap_ms: capMs } = retry ?? {};
    const options =
      retry === undefined
        ? this.#retry
        : { attempts: Math.min(asked, ATTEMPTS_MAX), baseMs, capMs };
    const sign = retry === undefined ? 'passing' : 'retryable';
    return {
      ...options,
      isRetryable: (/** @type {any} */ error) =>
        error?.[sign] === true &&
        node.attempts < options.attempts &&
        // A crawl does not use an upstream of the gateway.
        (node.type === 'crawl' || this.#retryBudget.take()),
    };
  }

  /**
   * @param {NodeState} node
   * @param {AbortSignal} signal
   */
  async #act(node, signal) {
    try {
      return await this.#run(node, signal);
    } catch (error) {
      if (error instanceof ChildJobError) {
        const floorMs = Math.min(2 ** (node.attempts - 1), RETRY_FLOOR_MAX_MS);
        error.retryAfterMs = Math.max(error.retryAfterMs ?? 0, floorMs);
      }
      throw error;
    }
  }

  /**
   * @param {NodeState} node
   * @param {AbortSignal} signal
   */
  #run(node, signal) {
    return runAction(node, {
      operation: this.operation,
      access: this.#access,
      parts: this.#parts,
      reservations: this.#reservations,
      crawl: this.#crawl,
      prompts: this.#prompts,
      keeps: (kept, chars) => {
        this.#keptChars += chars - kept.keptChars;
        kept.keptChars = chars;
        this.#operations.holds(this.operation, CHAR_BYTES * this.#keptChars);
        return this.#keptChars;
      },
      outputOf: (id) => this.node(id)?.output,
      signal,
    });
  }

  /** @param {TaskEvent} event handled before its effects, so that the log is in order */
  #onEvent(event) {
    const { operation } = this;
    const node = /** @type {NodeState} */ (this.node(event.id));
    this.touch(node, { output: event.type === 'complete' });
    operation.changed();
    switch (event.type) {
      case 'started':
        node.status = 'running';
        node.attempts = event.attempt;
        node.startedAtMs ??= this.#wallMs();
        operation.emit('node_started', { node: node.id, attempt: event.attempt });
        break;
      case 'retry': {
        node.status = 'retrying';
        node.error = errorToJson(event.error);
        const { attempt, delayMs } = event;
        const { id, error } = node;
        operation.emit('node_retry', {
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
        // Before its event: if a reader has that, another attempt does not run the node again.
        operation.changed({ isResult: true });
        operation.emit('node_complete', node.completion());
        break;
      case 'failed':
        this.#onFailed(node, event.error);
        break;
      case 'skipped':
        node.reason = event.reason;
        node.end('skipped', this.#wallMs());
        operation.emit('node_skipped', { node: node.id, reason: event.reason });
        break;
    }
  }

  /**
   * @param {NodeState} node
   * @param {unknown} error
   */
  #onFailed(node, error) {
    node.error = errorToJson(error);
    node.end('failed', this.#wallMs());
    if (!(error instanceof ChildJobError)) {
      this.#log.error({ err: error, workflow_id: this.operation.id, node: node.id }, 'node failed');
    }
    const { id, attempts } = node;
    this.operation.emit('node_failed', { node: id, attempts, error: node.error });
  }

  #finish() {
    const failed = this.nodes.filter(({ status, continued }) => status === 'failed' && !continued);
    const details = { nodes: this.counts() };
    const usage = this.usage();
    if (failed.length === 0) {
      this.operation.finish({ type: 'complete', usage, details });
      return;
    }
    const names = failed.map(({ id }) => id);
    const error = {
      code: 'node_failed',
      message: `${names.length === 1 ? 'A node' : `${names.length} nodes`} failed: ${listed(names)}.`,
      type: 'workflow_error',
    };
    this.operation.finish({ type: 'error', error, details: { ...details, failed: names, usage } });
  }
}
