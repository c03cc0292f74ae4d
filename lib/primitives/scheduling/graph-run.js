import { END } from '../../internal/util/async-iterator.js';
import { whenAborted } from '../../internal/util/abort.js';
import { SluiceError, abortReason } from '../../internal/util/errors.js';
import { EventKind } from '../../internal/native/reactor.js';
import { ResultQueue } from './result-queue.js';
import { retryAfterMs } from './retry-policy.js';

/**
 * A checked task.
 * @typedef {object} Task
 * @property {string} id
 * @property {string[]} after
 * @property {(call: {inputs: Record<string, unknown>, attempt: number, signal: AbortSignal}) =>
 *   unknown} run
 * @property {number} timeoutMs Infinity: no limit
 * @property {import('./retry-policy.js').RetryPolicy} retry
 * @property {boolean} continued
 */

/**
 * `started` marks each attempt. `retry` marks the decision for another one: `attempt` is
 * the next attempt, `delayMs` the wait before it. `reason` of a skipped task is the id of the task
 * that failed.
 * @template {Record<string, unknown>} [Values=Record<string, unknown>]
 * @typedef {{type: 'started', id: keyof Values & string, attempt: number}
 *   | {type: 'retry', id: keyof Values & string, attempt: number, delayMs: number, error: unknown}
 *   | {[Id in keyof Values & string]: {type: 'complete', id: Id, value: Values[Id]}
 *     }[keyof Values & string]
 *   | {type: 'failed', id: keyof Values & string, error: unknown}
 *   | {type: 'skipped', id: keyof Values & string, reason: keyof Values & string}} TaskEvent
 */

/**
 * Unread events beyond which no further attempt is started. Events of running attempts are
 * queued in any case: none is dropped.
 */
const UNREAD_MAX = 1024;

/**
 * @typedef {object} GraphRunOptions
 * @property {Task[]} tasks
 * @property {import('../../internal/native/reactor.js').Reactor} reactor
 * @property {import('../../internal/time/timers.js').Deadlines} timers
 * @property {(machine: number) => any} makeGraph throws for an invalid graph
 * @property {number} concurrency
 * @property {AbortSignal | undefined} signal
 * @property {boolean} throwOnFailure
 * @property {((event: TaskEvent) => void) | undefined} onEvent
 */

/** One run of a TaskGraph: its events, and the values that tasks still need. */
export class GraphRun {
  #options;
  /** @type {any} the native run, once begun */
  #native;
  #machine = 0;
  #phase = /** @type {'new' | 'running' | 'over'} */ ('new');
  /** @type {{error: unknown} | undefined} thrown by the next `next()` */
  #thrown;
  /** @type {{error: unknown} | undefined} thrown once every event is read */
  #failure;
  /** @type {ResultQueue<TaskEvent>} */
  #events = new ResultQueue(UNREAD_MAX);
  #reader = this.#events.iterate();
  /** @type {Map<string, unknown>} values of completed tasks on which others still depend */
  #values = new Map();
  /** @type {Map<string, number>} by id, the tasks without an ending that depend on it */
  #dependants = new Map();
  /** @type {Map<number, unknown>} the last error of each task, until its `failed` event */
  #errors = new Map();
  /** @type {Set<AbortController>} */
  #running = new Set();
  #release = () => {};

  /** @param {GraphRunOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /** @returns {Promise<TaskEvent | typeof END>} */
  async next() {
    if (this.#phase === 'new') this.#begin();
    this.#throwOnce();
    const step = await this.#reader.next();
    this.#throwOnce();
    if (!step.done) return step.value;
    this.#thrown = this.#failure;
    this.#failure = undefined;
    this.#throwOnce();
    return END;
  }

  /** Aborts the running tasks, and drops unread events. Idempotent. */
  cancel() {
    this.#stop(this.#thrown?.error);
    this.#events.end();
    void this.#reader.return?.();
  }

  #throwOnce() {
    const thrown = this.#thrown;
    this.#thrown = undefined;
    if (thrown !== undefined) throw thrown.error;
  }

  #begin() {
    const { tasks, reactor, makeGraph, concurrency, signal } = this.#options;
    this.#phase = 'over';
    if (signal?.aborted) {
      this.#events.end();
      throw abortReason(signal);
    }
    this.#machine = reactor.register((kind, a, b) => this.#onNative(kind, a, b));
    try {
      this.#native = makeGraph(this.#machine);
    } catch (error) {
      reactor.unregister(this.#machine);
      this.#events.end();
      throw error;
    }
    for (const { after } of tasks) {
      for (const id of after) this.#dependants.set(id, (this.#dependants.get(id) ?? 0) + 1);
    }
    this.#phase = 'running';
    reactor.ref();
    this.#release = whenAborted(signal, () => {
      this.#thrown = { error: abortReason(/** @type {AbortSignal} */ (signal)) };
      this.cancel();
    });
    this.#native.start(concurrency);
    reactor.settle();
  }

  /** @param {unknown} reason for the running tasks; their outcomes are then ignored */
  #stop(reason) {
    if (this.#phase === 'running') {
      this.#native.cancel();
      this.#end();
    }
    this.#phase = 'over';
    for (const controller of this.#running) controller.abort(reason);
    this.#running.clear();
  }

  #end() {
    const { reactor } = this.#options;
    this.#phase = 'over';
    this.#release();
    this.#native.dispose();
    reactor.unregister(this.#machine);
    reactor.unref();
    this.#values.clear();
    this.#events.unbound();
    this.#events.end();
  }

  /**
   * @param {number} kind
   * @param {number} index
   * @param {any} b
   */
  #onNative(kind, index, b) {
    const { tasks, throwOnFailure } = this.#options;
    if (kind === EventKind.GRAPH_ENDED) {
      this.#end();
      return;
    }
    const task = tasks[index];
    const { id } = task;
    switch (kind) {
      case EventKind.GRAPH_STARTED:
        this.#emit({ type: 'started', id, attempt: b });
        void this.#attempt(index, task, b);
        break;
      case EventKind.GRAPH_RETRYING: {
        const [attempt, delayMs] = b;
        this.#emit({ type: 'retry', id, attempt, delayMs, error: this.#errors.get(index) });
        break;
      }
      case EventKind.GRAPH_COMPLETED: {
        this.#emit({ type: 'complete', id, value: this.#values.get(id) });
        if (!this.#dependants.has(id)) this.#values.delete(id);
        this.#onEnded(index, task);
        break;
      }
      case EventKind.GRAPH_FAILED: {
        const error = this.#errors.get(index);
        this.#emit({ type: 'failed', id, error });
        this.#onEnded(index, task);
        if (throwOnFailure && !task.continued && this.#phase === 'running') {
          this.#failure = { error };
          this.#stop(error);
        }
        break;
      }
      case EventKind.GRAPH_SKIPPED:
        this.#emit({ type: 'skipped', id, reason: tasks[b].id });
        this.#onEnded(index, task);
        break;
    }
  }

  /** @param {TaskEvent} event */
  #emit(event) {
    this.#options.onEvent?.(event);
    this.#events.push(event);
  }

  /**
   * Drops the values that no other task needs any more.
   * @param {number} index
   * @param {Task} task
   */
  #onEnded(index, { after }) {
    this.#errors.delete(index);
    for (const id of after) {
      const left = /** @type {number} */ (this.#dependants.get(id)) - 1;
      if (left > 0) {
        this.#dependants.set(id, left);
      } else {
        this.#dependants.delete(id);
        this.#values.delete(id);
      }
    }
  }

  /**
   * @param {number} index
   * @param {Task} task
   * @param {number} attempt
   */
  async #attempt(index, task, attempt) {
    const room = this.#events.room();
    if (room !== undefined) await room;
    if (this.#phase !== 'running') return;
    const controller = new AbortController();
    this.#running.add(controller);
    try {
      const value = await this.#call(task, attempt, controller);
      if (this.#phase !== 'running') return;
      this.#values.set(task.id, value);
      this.#native.complete(index);
    } catch (error) {
      if (this.#phase !== 'running') return;
      this.#fail(index, task, error);
    } finally {
      this.#running.delete(controller);
    }
    this.#options.reactor.settle();
  }

  /**
   * @param {Task} task
   * @param {number} attempt
   * @param {AbortController} controller
   * @returns {unknown} the value, or a promise of it
   */
  #call({ id, after, run, timeoutMs }, attempt, controller) {
    const { signal } = controller;
    // fromEntries makes own properties of any name, `__proto__` included.
    const inputs = Object.fromEntries(after.map((name) => [name, this.#values.get(name)]));
    if (timeoutMs === Infinity) return run({ inputs, attempt, signal });
    return new Promise((resolve, reject) => {
      const stopTimer = this.#options.timers.start(timeoutMs, () => {
        const message = `The task ${JSON.stringify(id)} did not finish within ${timeoutMs} ms`;
        const error = new SluiceError('ERR_TASK_TIMEOUT', message, { node: id, retryable: true });
        reject(error);
        controller.abort(error);
      });
      signal.addEventListener('abort', stopTimer, { once: true });
      // Within a promise, so that a synchronous error of `run` becomes a rejection.
      new Promise((done) => done(run({ inputs, attempt, signal })))
        .then(resolve, reject)
        .finally(stopTimer);
    });
  }

  /**
   * @param {number} index
   * @param {Task} task
   * @param {unknown} error
   */
  #fail(index, { retry }, error) {
    this.#errors.set(index, error);
    try {
      this.#native.fail(index, retry.isRetryable(error), retryAfterMs(error), retry.random());
    } catch (thrown) {
      this.#errors.set(index, thrown);
      this.#native.fail(index, false, 0, 0);
    }
  }
}
