import { setTimeout as sleep } from 'node:timers/promises';
import { SluiceError, abortReason } from '../internal/util/errors.js';
import { whenAborted } from '../internal/util/abort.js';
import { EVENT_FIELDS } from './subscriptions.js';

/** @typedef {import('./events.js').AnyStreamEvent} AnyStreamEvent */

/**
 * One subscriber of the hub, read event by event.
 * @template {AnyStreamEvent} Event of the log's kind
 */
class EventReader {
  /** @type {string[]} */
  #batch = [];
  #next = 0;
  /** @type {string | undefined} */
  #end;
  /** @type {(() => void) | undefined} */
  #wake;
  #subscriber;

  /**
   * @param {import('./hub.js').JobHub} hub
   * @param {import('./types.js').Member} member
   */
  constructor(hub, member) {
    this.#subscriber = hub.openStream([member], {
      onOpen: (finished) => {
        if (finished) this.#end = 'finished';
        this.wake();
      },
      onEvents: (events) => {
        this.#batch = events;
        this.#next = 0;
        this.wake();
      },
      onEnd: (reason) => {
        this.#end = reason;
        this.wake();
      },
    });
  }

  /** The reason of the end, once all events are taken. */
  get end() {
    return this.#next < this.#batch.length ? undefined : this.#end;
  }

  /** @returns {Event | undefined} the next event, if it has arrived */
  take() {
    if (this.#next >= this.#batch.length) return undefined;
    const [id, type, data] = this.#batch.slice(this.#next, this.#next + EVENT_FIELDS);
    this.#next += EVENT_FIELDS;
    // A batch is acknowledged once all its events are taken, so the consumer sets the pace.
    if (this.#next >= this.#batch.length) this.#subscriber.acknowledge();
    return /** @type {any} */ ({ id: id || undefined, type, data: JSON.parse(data) });
  }

  /** @returns {Promise<void>} resolves when the result of `take` or `end` may have changed */
  arrival() {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Ends a pending `arrival()`. */
  wake() {
    this.#wake?.();
    this.#wake = undefined;
  }

  detach() {
    this.#subscriber.detach();
  }
}

/** Wait before a job that has moved is looked up again, while a look-up is impossible. */
const FIND_AGAIN_MS = 250;

/** Ends of readers whose job may continue in another log. */
const MOVED = new Set(['purged', 'fenced', 'unreachable']);

/**
 * A log, or a function that finds it.
 * @typedef {object} LogSource
 * @property {number} [handle] default: result of `find`
 * @property {() => Promise<{handle: number}> | {handle: number}} [find] finds the log, also after the job
 *   has moved to another process; throws `ERR_STORAGE_UNAVAILABLE` while this is unknown. Default:
 *   the job does not move
 */

/**
 * Finds a log that has moved; retries while Redis is away.
 * @param {NonNullable<LogSource['find']>} find
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<{handle: number}>}
 */
async function findAgain(find, signal) {
  for (;;) {
    try {
      return await find();
    } catch (/** @type {any} */ error) {
      if (error?.code !== 'ERR_STORAGE_UNAVAILABLE') throw error;
    }
    await sleep(FIND_AGAIN_MS, undefined, { ref: false });
    if (signal?.aborted) throw abortReason(signal);
  }
}

/**
 * @template {AnyStreamEvent} Event
 * @param {import('./hub.js').JobHub} hub
 * @param {LogSource} source
 * @param {{lastEventId?: string, signal?: AbortSignal} | undefined} options
 * @param {{requested: boolean, wake: () => void}} leaving set by the iterator; called when the consumer leaves
 * @returns {AsyncGenerator<Event, void, void>}
 */
async function* readEvents(
  hub,
  { handle: known, find },
  { lastEventId = '', signal } = {},
  leaving,
) {
  if (signal?.aborted) throw abortReason(signal);
  let cursor = lastEventId;
  const ofFound = async () => (await /** @type {NonNullable<typeof find>} */ (find)()).handle;
  let handle = known ?? (await ofFound());
  let reader = /** @type {EventReader<Event>} */ (new EventReader(hub, { handle, cursor }));
  const forget = whenAborted(signal, () => reader.wake());
  leaving.wake = () => reader.wake();
  try {
    for (;;) {
      if (leaving.requested) return;
      if (signal?.aborted) throw abortReason(signal);
      const event = reader.take();
      if (event !== undefined) {
        cursor = event.id ?? cursor;
        yield event;
      } else if (reader.end === undefined) {
        await reader.arrival();
      } else if (reader.end === 'finished') {
        return;
      } else if (reader.end === 'stalled') {
        reader = new EventReader(hub, { handle, cursor });
      } else if (find !== undefined && MOVED.has(reader.end)) {
        ({ handle } = await findAgain(find, signal));
        reader = new EventReader(hub, { handle, cursor });
      } else if (reader.end === 'purged') {
        throw new SluiceError('ERR_JOB_NOT_FOUND', 'The job was purged before it was read.');
      } else {
        throw new SluiceError('ERR_STREAM_CLOSED', 'The gateway was closed.');
      }
    }
  } finally {
    forget();
    reader.detach();
  }
}

/**
 * Replays a job from `lastEventId` and continues live until its terminal event. A consumer that is
 * slower than the stall limit does not delay the job, and resumes at its position: it loses no
 * event, and receives a `gap` only if the log has dropped unread ones.
 *
 * @template {AnyStreamEvent} Event
 * @param {import('./hub.js').JobHub} hub
 * @param {LogSource} source
 * @param {{lastEventId?: string, signal?: AbortSignal}} [options] `signal` ends the iteration by
 *   throwing its reason
 * @returns {AsyncIterableIterator<Event>}
 * @throws {SluiceError} `ERR_STREAM_CLOSED` if the gateway closed, `ERR_JOB_NOT_FOUND` if the
 *   job was purged before its terminal event was read
 */
export function streamEvents(hub, source, options) {
  const leaving = { requested: false, wake: () => {} };
  const events = /** @type {AsyncGenerator<Event, void, void>} */ (
    readEvents(hub, source, options, leaving)
  );
  return {
    next: () => events.next(),
    return: () => {
      // A plain generator would first wait for the event awaited by a pending next().
      leaving.requested = true;
      leaving.wake();
      return events.return();
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
