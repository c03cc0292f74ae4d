import native from '../../internal/native/addon.js';
import { nativeNumbers } from '../../internal/native/numbers.js';
import { manualReactor, sharedReactor } from '../../internal/native/reactor.js';
import { deadlinesOf } from '../../internal/time/timers.js';
import { asyncIterator } from '../../internal/util/async-iterator.js';
import { SluiceError, typeError } from '../../internal/util/errors.js';
import {
  checkBoolean,
  checkChoice,
  checkClock,
  checkFunction,
  checkId,
  checkInteger,
  checkMs,
  checkOptions,
  checkSignal,
} from '../../internal/util/validate.js';
import { GraphRun } from './graph-run.js';
import { RetryPolicy } from './retry-policy.js';

/**
 * Argument of a task's `run`.
 * @template {Record<string, unknown>} [Values=Record<string, unknown>]
 * @template {keyof Values} [After=keyof Values]
 * @typedef {object} TaskCall
 * @property {Pick<Values, After>} inputs the values of its dependencies by id; undefined for a task that
 *   failed and has `onFailure: 'continue'`
 * @property {number} attempt from 1
 * @property {AbortSignal} signal aborted when the run is cancelled, and when `timeoutMs` is over
 */

/**
 * @template {Record<string, unknown>} [Values=Record<string, unknown>]
 * @template {keyof Values} [Id=keyof Values]
 * @template {keyof Values & string} [After=keyof Values & string]
 * @typedef {object} TaskOptions
 * @property {readonly After[]} [after] ids of the tasks that it depends on, which may be added later
 * @property {(call: TaskCall<Values, After>) => Values[Id] | PromiseLike<Values[Id]>} run returns the
 *   task's value
 * @property {number} [timeoutMs] time limit of one attempt; default: none. After it the
 *   attempt's signal is aborted, and the attempt fails with ERR_TASK_TIMEOUT, which may be retried
 * @property {import('./retry-policy.js').RetryOptions} [retry] an error's `retryable: false` prevents
 *   another attempt, and its `retryAfterMs` is the minimum delay (Infinity: no further attempt). `onRetry`
 *   is not called: use the `retry` event
 * @property {'fail' | 'continue'} [onFailure] effect of a final failure on the
 *   tasks that depend on this one: `fail` (default) skips them, `continue` runs them without its
 *   value
 */

/**
 * @template {Record<string, unknown>} [Values=Record<string, unknown>]
 * @typedef {import('./graph-run.js').TaskEvent<Values>} TaskEvent
 */

/**
 * @template {Record<string, unknown>} [Values=Record<string, unknown>]
 * @typedef {object} RunOptions
 * @property {number} [concurrency] maximum concurrent tasks; default 5
 * @property {AbortSignal} [signal] cancels the run; the iterator throws its reason
 * @property {boolean} [throwOnFailure] whether the first final failure of a task without
 *   `onFailure: 'continue'`, cancels the run, and makes the iterator throw the task's error after its
 *   `failed` event; default false
 * @property {(event: TaskEvent<Values>) => void} [onEvent] called with each event when it occurs, and
 *   for `started` before the task is called; the iterator yields the event as well
 */

/** @typedef {import('./graph-run.js').Task} Task */

const TASK_OPTIONS = Object.freeze(['after', 'run', 'timeoutMs', 'retry', 'onFailure']);
const RUN_OPTIONS = Object.freeze(['concurrency', 'signal', 'throwOnFailure', 'onEvent']);
/** Maximum ids in a message about a cycle. */
const CYCLE_SHOWN_MAX = 20;

const Fault = nativeNumbers('enums.PlanFault', ['DUPLICATE', 'UNKNOWN', 'CYCLE']);

/**
 * @param {Task[]} tasks
 * @param {number[]} fault from the native check
 */
function graphError(tasks, [kind, task, place, ...rest]) {
  if (kind === Fault.CYCLE) {
    const path = [task, place, ...rest].filter((i) => i !== undefined).map((i) => tasks[i].id);
    const around = [...path, path[0]].map((id) => JSON.stringify(id));
    const shown =
      around.length > CYCLE_SHOWN_MAX + 1
        ? [...around.slice(0, CYCLE_SHOWN_MAX), '...', around[0]]
        : around;
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
 * A graph of tasks. A task runs when its dependencies are done, a limited number at a time. A
 * graph may be run several times; each run starts over.
 *
 * Order, slots, retries and their timers are native and run on a reactor; JavaScript calls the tasks
 * and holds their values. Main thread only. A run ends with its last task, with `return()` of its
 * iterator, or with its signal; until then it keeps the process alive.
 * @template {Record<string, unknown>} [Values=Record<string, unknown>] the tasks' values by id
 */
export class TaskGraph {
  /** @type {Task[]} */
  #tasks = [];
  #reactor;
  #timers;

  /**
   * @param {{clock?: import('../../internal/time/clock.js').ManualClock}} [options] default: the
   *   monotonic clock
   */
  constructor(options) {
    const clock = checkClock('clock', checkOptions('options', options, ['clock']).clock);
    this.#reactor = clock === undefined ? sharedReactor() : manualReactor(clock);
    this.#timers = deadlinesOf(clock);
  }

  /**
   * Adds a task, for runs that begin later. `run` and `check` verify that its dependencies exist
   * and its id is unique.
   * @template {keyof Values & string} Id
   * @template {keyof Values & string} [After=never]
   * @param {Id} id
   * @param {TaskOptions<Values, Id, After>} options
   * @returns {this}
   */
  add(id, options) {
    const given = checkOptions('options', options, TASK_OPTIONS);
    const { after = [], run, retry, onFailure } = given;
    if (!Array.isArray(after)) throw typeError('after takes an array of ids');
    this.#tasks.push({
      id: checkId('id', id),
      // A dependency named twice counts once.
      after: [...new Set(after.map((name, i) => checkId(`after[${i}]`, name)))],
      run: checkFunction('run', run),
      timeoutMs: checkMs('timeoutMs', given.timeoutMs, { fallback: Infinity, infinite: true }),
      retry: new RetryPolicy(retry),
      continued: checkChoice('onFailure', onFailure, ['fail', 'continue'], 'fail') === 'continue',
    });
    return this;
  }

  /**
   * Throws the error with which `run` would reject.
   * @throws {SluiceError} `ERR_GRAPH_DUPLICATE`, `ERR_GRAPH_UNKNOWN` or `ERR_GRAPH_CYCLE`
   */
  check() {
    this.#nativeGraph(this.#tasks, 0);
  }

  /**
   * Runs the tasks, from the first `next()` on. Every task ends as `complete`, `failed` or `skipped`,
   * and the iteration ends after the last one. Leaving it earlier, or aborting the signal, cancels
   * the run: the signals of running tasks are aborted, and the iterator settles at once, after an
   * abort by throwing the signal's reason.
   *
   * No event is lost. A slow consumer slows the run: no attempt is started while more than 1024
   * events wait to be read. A task's value is kept until every task that depends on it has ended and
   * its `complete` event is read.
   * @param {RunOptions<Values>} [options]
   * @returns {AsyncIterableIterator<TaskEvent<Values>>} its first `next()` rejects for an invalid
   *   graph: with `ERR_GRAPH_DUPLICATE` (`node`), `ERR_GRAPH_UNKNOWN` (`node`, `dependency`)
   *   or `ERR_GRAPH_CYCLE` (`path`: the ids of the cycle, each before one that depends on it, and the
   *   last before the first)
   */
  run(options) {
    const given = checkOptions('options', options, RUN_OPTIONS);
    const tasks = [...this.#tasks];
    const run = new GraphRun({
      tasks,
      reactor: this.#reactor,
      timers: this.#timers,
      makeGraph: (machine) => this.#nativeGraph(tasks, machine),
      concurrency: checkInteger('concurrency', given.concurrency, { fallback: 5 }),
      signal: checkSignal('signal', given.signal),
      throwOnFailure: checkBoolean('throwOnFailure', given.throwOnFailure, false),
      /** @type {((event: TaskEvent) => void) | undefined} */
      onEvent: given.onEvent === undefined ? undefined : checkFunction('onEvent', given.onEvent),
    });
    const events = asyncIterator(
      () => run.next(),
      () => run.cancel(),
    );
    return /** @type {AsyncIterableIterator<TaskEvent<Values>>} */ (events);
  }

  /**
   * @param {Task[]} tasks
   * @param {number} machine
   * @returns {any} the native graph, ready to be started
   * @throws {SluiceError} ERR_GRAPH_*
   */
  #nativeGraph(tasks, machine) {
    const graph = new native.TaskGraph(this.#reactor.native, machine);
    for (const { id, after, retry, continued } of tasks) {
      graph.add(id, after, retry.attempts, retry.baseMs, retry.capMs, continued);
    }
    const fault = graph.check();
    if (fault !== undefined) throw graphError(tasks, fault);
    return graph;
  }
}
