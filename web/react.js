/** Hooks for React 18 and later: `import { useJobStream, useSubmit } from 'sluice/react'`. */
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { checkOptions } from './client/options.js';

/** @typedef {import('./client.js').Client} Client */
/** @typedef {import('./client.js').JobRequest} JobRequest */
/** @typedef {import('./client/job.js').Job} Job */
/** @typedef {import('./client/job.js').JobStatus} JobStatus */

/**
 * A job in the form for a component.
 * @typedef {object} JobStream
 * @property {JobStatus | 'idle'} status `idle`: there is no job
 * @property {string} text
 * @property {string} reasoning
 * @property {string} refusal empty for none
 * @property {readonly import('./client/job.js').ToolCall[]} toolCalls
 * @property {import('./client/errors.js').SluiceClientError | undefined} error
 * @property {string | undefined} reason of the end
 * @property {import('./client/job.js').JobUsage | undefined} usage
 * @property {boolean} gap whether a part of the answer is missing
 * @property {number} reconnects of its connection so far
 * @property {() => Promise<void>} cancel ends the job; does nothing without one
 */

/**
 * @param {string} hook
 * @param {{client: Client}} options
 * @returns {Client}
 * @throws {TypeError} naming the option
 */
function clientOf(hook, options) {
  const { client } = checkOptions(hook, options ?? {}, ['client']);
  if (typeof client?.submit === 'function') return client;
  throw new TypeError(`${hook}: client takes a client of createClient()`);
}

const noCancel = async () => {};

/** @type {JobStream} */
const IDLE = Object.freeze({
  status: 'idle',
  text: '',
  reasoning: '',
  refusal: '',
  toolCalls: [],
  error: undefined,
  reason: undefined,
  usage: undefined,
  gap: false,
  reconnects: 0,
  cancel: noCancel,
});

const EVENTS = /** @type {const} */ ([
  ...['token', 'reasoning', 'refusal', 'tool_call', 'complete', 'cancelled', 'error', 'status'],
  ...['retry', 'gap', 'open', 'reconnecting'],
]);

/**
 * Calls back before the next frame; in a hidden page, which has no frames, after a short time.
 * @param {() => void} act
 */
function onFrame(act) {
  const visible = typeof document === 'undefined' || document.visibilityState === 'visible';
  if (typeof requestAnimationFrame === 'function' && visible) requestAnimationFrame(act);
  else setTimeout(act, 16);
}

/**
 * One job for all components of a page: one subscription, a new snapshot at most once per frame. Ends with
 * its last component.
 */
class JobStore {
  #job;
  /** @type {Set<() => void>} */
  #listeners = new Set();
  /** @type {(() => void)[]} */
  #forget = [];
  /** @type {JobStream} */
  #snapshot;
  #gap = false;
  #reconnects = 0;
  #scheduled = false;

  /** @param {Job} job */
  constructor(job) {
    this.#job = job;
    this.cancel = async () => {
      await job.cancel();
    };
    this.#snapshot = this.#take();
  }

  get isEmpty() {
    return this.#listeners.size === 0;
  }

  /** @param {() => void} listener @returns {() => void} */
  subscribe(listener) {
    if (this.isEmpty) this.#begin();
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.isEmpty) this.#end();
    };
  }

  /** @returns {JobStream} the same object until it changes */
  get() {
    return this.#snapshot;
  }

  #begin() {
    const changed = () => this.#schedule();
    this.#forget = EVENTS.map((name) => this.#job.on(name, changed));
    this.#forget.push(
      this.#job.on('gap', () => (this.#gap = true)),
      this.#job.on('retry', () => (this.#gap = false)),
      this.#job.on('reconnecting', () => (this.#reconnects += 1)),
    );
    this.#job.reconnect();
    this.#snapshot = this.#take();
  }

  #end() {
    for (const forget of this.#forget.splice(0)) forget();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    onFrame(() => {
      this.#scheduled = false;
      this.#snapshot = this.#take();
      for (const listener of [...this.#listeners]) listener();
    });
  }

  /** @returns {JobStream} */
  #take() {
    const { status, text, reasoning, refusal, toolCalls, error, reason, usage } = this.#job;
    return {
      ...{ status, text, reasoning, refusal, toolCalls, error, reason, usage },
      gap: this.#gap,
      reconnects: this.#reconnects,
      cancel: this.cancel,
    };
  }
}

/** The jobs of a client shown by components, and their stores. */
class Stores {
  #client;
  /** @type {Map<string, {job: Job, store: JobStore, own: boolean}>} */
  #byId = new Map();

  /** @param {Client} client */
  constructor(client) {
    this.#client = client;
  }

  /** @param {Job | string} given a job, or its id */
  of(given) {
    const id = typeof given === 'string' ? given : given.id;
    const known = this.#byId.get(id);
    if (known !== undefined) return known.store;
    const own = typeof given === 'string';
    const job = own ? this.#client.attach(id) : given;
    const store = new JobStore(job);
    this.#byId.set(id, { job, store, own });
    return store;
  }

  /**
   * Releases a job without components. StrictMode and fast refresh unmount and mount again at once, so
   * the release is delayed.
   * @param {Job | string} given
   */
  release(given) {
    const id = typeof given === 'string' ? given : given.id;
    setTimeout(() => {
      const entry = this.#byId.get(id);
      if (entry === undefined || !entry.store.isEmpty) return;
      this.#byId.delete(id);
      // The connection of a job passed by the page must not be closed here.
      if (entry.own) entry.job.disconnect();
    }, 0);
  }
}

/** @type {WeakMap<Client, Stores>} */
const storesOf = new WeakMap();

/** @param {Client} client @returns {Stores} */
function storesFor(client) {
  const known = storesOf.get(client) ?? new Stores(client);
  storesOf.set(client, known);
  return known;
}

/** @returns {() => void} */
const noSubscription = () => () => {};
const idle = () => IDLE;

/**
 * Shows a job while it runs. Components with the same job share one connection; each renders at most
 * once a frame.
 * @param {Job | string | null | undefined} jobOrId from `client.submit()`, or an id; null: none yet
 * @param {{client: Client}} options
 * @returns {JobStream}
 */
export function useJobStream(jobOrId, options) {
  const client = clientOf('useJobStream', options);
  const given = jobOrId ?? null;
  const id = given === null || typeof given === 'string' ? given : given.id;
  const subscribe = useCallback(
    (/** @type {() => void} */ listener) => {
      if (given === null) return noSubscription();
      const stores = storesFor(client);
      const leave = stores.of(given).subscribe(listener);
      return () => {
        leave();
        stores.release(given);
      };
    },
    // A job keeps its id: another object for it has no effect.
    [client, id],
  );
  const read = given === null ? idle : () => storesFor(client).of(given).get();
  return useSyncExternalStore(subscribe, read, idle);
}

/**
 * @param {Client} client
 * @param {JobRequest} request
 * @param {Map<string, Promise<Job>>} pending submissions without an answer yet, by their request
 * @returns {Promise<Job>}
 */
function submitOnce(client, request, pending) {
  const key = JSON.stringify(request);
  const known = pending.get(key);
  if (known !== undefined) return known;
  const submission = client.submit(request);
  const forget = () => {
    if (pending.get(key) === submission) pending.delete(key);
  };
  pending.set(key, submission);
  submission.then(forget, forget);
  return submission;
}

/**
 * Submits prompts from a component. A second call during the first one waits for its own answer, and
 * joins the first one if the requests are equal: StrictMode runs effects twice, and users click twice. The job of
 * the last call is shown.
 * @param {{client: Client}} options
 * @returns {{submit: (request: JobRequest) => Promise<Job>, job: Job | null, error: Error | undefined}}
 */
export function useSubmit(options) {
  const client = clientOf('useSubmit', options);
  const [state, setState] = useState(
    /** @type {{job: Job | null, error: Error | undefined}} */ ({ job: null, error: undefined }),
  );
  const latest = useRef(0);
  const mounted = useRef(false);
  const pending = useRef(/** @type {Map<string, Promise<Job>>} */ (new Map()));
  useEffect(() => {
    mounted.current = true;
    return () => {
      mounted.current = false;
    };
  }, []);
  const submit = useCallback(
    async (/** @type {JobRequest} */ request) => {
      latest.current += 1;
      const call = latest.current;
      const isShown = () => mounted.current && call === latest.current;
      try {
        const job = await submitOnce(client, request, pending.current);
        if (isShown()) setState({ job, error: undefined });
        return job;
      } catch (/** @type {any} */ error) {
        if (isShown()) setState({ job: null, error });
        throw error;
      }
    },
    [client],
  );
  return { submit, ...state };
}
