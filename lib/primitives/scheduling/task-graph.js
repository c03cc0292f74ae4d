/**
 * Tasks that wait for each other: each runs when what it depends on is done, a few at a time.
 *
 * Order, places, retries and their timers are native and run on a reactor; this side calls the
 * tasks and holds their values. Main thread only. A run ends with its last task, with `return()` of
 * its iterator, or with its signal; until then it keeps the process alive.
 */
import native from '../../internal/native/addon.js';
import { EventKind, manualReactor, sharedReactor } from '../../internal/native/reactor.js';
import { ResultQueue } from './result-queue.js';
import { RetryPolicy, retryAfterMs } from './retry-policy.js';
import { SluiceError, abortReason, typeError } from '../../internal/util/errors.js';
import { kOnEvent, kSchedule } from '../../internal/util/symbols.js';
import { whenAborted } from '../../internal/util/abort.js';
import {
  checkChoice,
  checkFunction,
  checkId,
  checkInteger,
  checkOptions,
  checkSignal,
} from '../../internal/util/validate.js';

/**
 * What a task is called with.
 * @typedef {object} TaskCall
 * @property {Record<string, any>} inputs the values of its dependencies, by id. One that failed and
 *   is continued is there as undefined
 * @property {number} attempt from 1
 * @property {AbortSignal} signal aborted when the run is cancelled
 */

/**
 * @typedef {object} TaskOptions
 * @property {string[]} [after] ids of the tasks that it waits for, which may be added later
 * @property {(call: TaskCall) => any} run gives (a promise of) the task's value
 * @property {import('./retry-policy.js').RetryOptions} [retry] an error's `retryable: false` rules
 *   it out, its `retryAfterMs` is the least delay; `onRetry` is not called, the event is there for
 *   that
 * @property {'fail' | 'continue'} [onFailure] what becomes of the tasks that depend on this one when
 *   it fails for good: `fail` (default) skips them, `continue` lets them run without its value
 */

/**
 * `started` comes with each attempt, `retry` with the decision for another: `attempt` is the one to
 * come, `delayMs` the wait before it. `reason` of a skipped task is the id of the task that failed.
 * @typedef {{type: 'started', id: string, attempt: number}
 *   | {type: 'retry', id: string, attempt: number, delayMs: number, error: unknown}
 *   | {type: 'complete', id: string, value: any}
 *   | {type: 'failed', id: string, error: unknown}
 *   | {type: 'skipped', id: string, reason: string}} TaskEvent
 */

/**
 * A task as it was added, checked.
 * @typedef {object} Task
 * @property {string} id
 * @property {string[]} after
 * @property {(call: TaskCall) => any} run
 * @property {RetryPolicy} retry
 * @property {boolean} continued
 */

/**
 * Events that may wait to be read before no further attempt is started. Nothing is ever dropped;
 * what runs already may still add its own.
 */
const kUnreadMax = 1024;

/** The numbers of native/core/scheduling/task_plan.h. */
const Fault = Object.freeze({ DUPLICATE: 1, UNKNOWN: 2, CYCLE: 3 });

/**
 * @param {Task[]} tasks
 * @param {number[]} told by the native check
 */
function graphError(tasks, [kind, task, place, ...rest]) {
  if (kind === Fault.CYCLE) {
    const path = [task, place, ...rest].filter((i) => i !== undefined).map((i) => tasks[i].id);
    const around = [...path, path[0]].map((id) => JSON.stringify(id));
    const shown = around.length > 21 ? [...around.slice(0, 20), '...', around[0]] : around;
    return new SluiceError('ERR_GRAPH_CYCLE', `The graph has a cycle: ${shown.join(' -> ')}`, {
      path,
    });
  }
  const { id, after } = tasks[task];
  const name = JSON.stringify(id);
  if (kind === Fault.DUPLICATE) {
    return new SluiceError('ERR_GRAPH_DUPLICATE', `The task ${name} was added twice`, { node: id });
  }
  const dependency = after[place];
  return new SluiceError(
    'ERR_GRAPH_UNKNOWN',
    `The task ${name} depends on ${JSON.stringify(dependency)}, which was not added`,
    { node: id, dependency },
  );
}

/**
 * @param {Task[]} tasks
 * @param {import('../../internal/native/reactor.js').Reactor} reactor
 * @param {number} machine
 * @returns {any} ready to be started
 * @throws {SluiceError} ERR_GRAPH_*
 */
function nativeGraph(tasks, reactor, machine) {
  const graph = new native.TaskGraph(reactor.native, machine);
  for (const { id, after, retry, continued } of tasks) {
    graph.add(id, after, retry.attempts, retry.baseMs, retry.capMs, continued);
  }
  const fault = graph.check();
  if (fault !== undefined) throw graphError(tasks, fault);
  return graph;
}

/** One run of a graph. */
class Run {
  #tasks;
  #reactor;
  #concurrency;
  #signal;
  #onEvent;
  /** @type {any} the native run, once begun */
  #native;
  #machine = 0;
  #phase = /** @type {'new' | 'running' | 'over'} */ ('new');
  /** @type {{error: unknown} | undefined} what the iterator has yet to throw */
  #thrown;
  /** @type {ResultQueue<TaskEvent>} */
  #events = new ResultQueue(kUnreadMax);
  #reader = this.#events.iterate();
  /** @type {Map<string, any>} */
  #values = new Map();
  /** @type {Map<number, unknown>} the last error of each task that failed */
  #errors = new Map();
  /** @type {Set<AbortController>} */
  #running = new Set();
  #release = () => {};

  /**
   * @param {Task[]} tasks
   * @param {import('../../internal/native/reactor.js').Reactor} reactor
   * @param {{concurrency: number, signal?: AbortSignal, onEvent?: (event: TaskEvent) => void}}
   *   options `onEvent` is called before the task that has started is
   */
  constructor(tasks, reactor, { concurrency, signal, onEvent = () => {} }) {
    this.#tasks = tasks;
    this.#reactor = reactor;
    this.#concurrency = concurrency;
    this.#signal = signal;
    this.#onEvent = onEvent;
  }

  /** @returns {Promise<IteratorResult<TaskEvent, undefined>>} */
  async next() {
    if (this.#phase === 'new') this.#begin();
    this.#throwOnce();
    const step = await this.#reader.next();
    this.#throwOnce();
    return step;
  }

  /** @returns {Promise<IteratorResult<TaskEvent, undefined>>} */
  async return() {
    this.#cancel();
    return { done: true, value: undefined };
  }

  #throwOnce() {
    const thrown = this.#thrown;
    this.#thrown = undefined;
    if (thrown !== undefined) throw thrown.error;
  }

  #begin() {
    this.#phase = 'over';
    if (this.#signal?.aborted) {
      this.#events.end();
      throw abortReason(this.#signal);
    }
    this.#machine = this.#reactor.register((kind, a, b) => this.#hear(kind, a, b));
    try {
      this.#native = nativeGraph(this.#tasks, this.#reactor, this.#machine);
    } catch (error) {
      this.#reactor.unregister(this.#machine);
      this.#events.end();
      throw error;
    }
    this.#phase = 'running';
    this.#reactor.ref();
    this.#release = whenAborted(this.#signal, () => {
      this.#thrown = { error: abortReason(/** @type {AbortSignal} */ (this.#signal)) };
      this.#cancel();
    });
    this.#native.start(this.#concurrency);
    this.#reactor.settle();
  }

  /** Stops what runs and wakes whoever reads. What tasks still do is nobody's concern. */
  #cancel() {
    if (this.#phase === 'running') {
      this.#native.cancel();
      this.#end();
    }
    this.#phase = 'over';
    this.#events.end();
    void this.#reader.return?.();
    for (const controller of this.#running) controller.abort(this.#thrown?.error);
    this.#running.clear();
  }

  #end() {
    this.#phase = 'over';
    this.#release();
    this.#native.dispose();
    this.#reactor.unregister(this.#machine);
    this.#reactor.unref();
    this.#events.unbound();
    this.#events.end();
  }

  /**
   * @param {number} kind
   * @param {number} index
   * @param {any} b
   */
  #hear(kind, index, b) {
    if (kind === EventKind.GRAPH_ENDED) {
      this.#end();
      return;
    }
    const task = this.#tasks[index];
    const { id } = task;
    switch (kind) {
      case EventKind.GRAPH_STARTED:
        this.#tell({ type: 'started', id, attempt: b });
        void this.#attempt(index, task, b);
        break;
      case EventKind.GRAPH_RETRYING: {
        const [attempt, delayMs] = b;
        const error = this.#errors.get(index);
        this.#tell({ type: 'retry', id, attempt, delayMs, error });
        break;
      }
      case EventKind.GRAPH_COMPLETED:
        this.#tell({ type: 'complete', id, value: this.#values.get(id) });
        break;
      case EventKind.GRAPH_FAILED:
        this.#tell({ type: 'failed', id, error: this.#errors.get(index) });
        break;
      case EventKind.GRAPH_SKIPPED:
        this.#tell({ type: 'skipped', id, reason: this.#tasks[b].id });
        break;
    }
  }

  /** @param {TaskEvent} event */
  #tell(event) {
    this.#onEvent(event);
    this.#events.push(event);
  }

  /**
   * @param {number} index
   * @param {Task} task
   * @param {number} attempt
   */
  async #attempt(index, { id, after, run, retry }, attempt) {
    const room = this.#events.room();
    if (room !== undefined) await room;
    if (this.#phase !== 'running') return;
    const controller = new AbortController();
    this.#running.add(controller);
    try {
      // fromEntries makes own properties of any name there is.
      const inputs = Object.fromEntries(after.map((name) => [name, this.#values.get(name)]));
      const value = await run({ inputs, attempt, signal: controller.signal });
      if (this.#phase !== 'running') return;
      this.#values.set(id, value);
      this.#native.complete(index);
    } catch (error) {
      if (this.#phase !== 'running') return;
      this.#fail(index, retry, error);
    } finally {
      this.#running.delete(controller);
    }
    this.#reactor.settle();
  }

  /**
   * @param {number} index
   * @param {RetryPolicy} retry
   * @param {unknown} error
   */
  #fail(index, retry, error) {
    this.#errors.set(index, error);
    try {
      this.#native.fail(index, retry.isRetryable(error), retryAfterMs(error), retry.random());
    } catch (thrown) {
      this.#errors.set(index, thrown);
      this.#native.fail(index, false, 0, 0);
    }
  }
}

/**
 * A graph of tasks. It may be run several times; each run begins anew.
 */
export class TaskGraph {
  /** @type {Task[]} */
  #tasks = [];
  #reactor;

  /** @param {{clock?: import('../../internal/time/clock.js').ManualClock}} [options] default: the monotonic clock */
  constructor(options) {
    const { clock } = checkOptions('options', options);
    if (clock !== undefined && typeof clock?.[kSchedule] !== 'function') {
      throw typeError('clock takes a ManualClock');
    }
    this.#reactor = clock === undefined ? sharedReactor() : manualReactor(clock);
  }

  /**
   * Adds a task, for the runs that begin later. Whether its dependencies exist, and whether its id
   * is its alone, is found out by `run`.
   * @param {string} id
   * @param {TaskOptions} options
   * @returns {this}
   */
  add(id, options) {
    const { after = [], run, retry, onFailure } = checkOptions('options', options);
    if (!Array.isArray(after)) throw typeError('after takes an array of ids');
    this.#tasks.push({
      id: checkId('id', id),
      // Naming a task twice asks for nothing more than naming it once.
      after: [...new Set(after.map((name, i) => checkId(`after[${i}]`, name)))],
      run: checkFunction('run', run),
      retry: new RetryPolicy(retry),
      continued: checkChoice('onFailure', onFailure, ['fail', 'continue'], 'fail') === 'continue',
    });
    return this;
  }

  /**
   * Throws what `run` would be rejected with.
   * @throws {SluiceError} `ERR_GRAPH_DUPLICATE`, `ERR_GRAPH_UNKNOWN` or `ERR_GRAPH_CYCLE`
   */
  check() {
    nativeGraph(this.#tasks, this.#reactor, 0);
  }

  /**
   * Runs the tasks, from the first `next()` on. Every task comes to one of `complete`, `failed` and
   * `skipped`, and the iteration ends after the last. Leaving it earlier, or aborting the signal,
   * cancels what runs: the tasks' signals are aborted, and the iterator settles at once, for an
   * abort by throwing the signal's reason.
   *
   * No event is lost. A consumer that reads slowly holds the run back: no attempt is started while
   * more than 1024 events wait to be read.
   * @param {{concurrency?: number, signal?: AbortSignal}} [options] `concurrency` tasks at once;
   *   default 5
   * @returns {AsyncIterableIterator<TaskEvent>} whose first `next()` rejects for a graph that cannot
   *   be run: with `ERR_GRAPH_DUPLICATE` (`node`), `ERR_GRAPH_UNKNOWN` (`node`, `dependency`) or
   *   `ERR_GRAPH_CYCLE` (`path`: the ids of the cycle, each before one that waits for it and the
   *   last before the first)
   */
  run(options) {
    const given = checkOptions('options', options);
    const concurrency = checkInteger('concurrency', given.concurrency, { fallback: 5 });
    const signal = checkSignal('signal', given.signal);
    const run = new Run([...this.#tasks], this.#reactor, {
      concurrency,
      signal,
      onEvent: /** @type {any} */ (given)[kOnEvent],
    });
    return {
      next: () => run.next(),
      return: () => run.return(),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}
