/**
 * A job's stream as an async iterable: what `gateway.stream()` gives. Main thread.
 */
import { SluiceError, abortReason } from '../internal/util/errors.js';
import { whenAborted } from '../internal/util/abort.js';

/**
 * @typedef {object} StreamEvent
 * @property {string | undefined} id `<attempt>-<seq>`; undefined for `gap`
 * @property {string} type `token`, `job_retry`, `gap`, `job_complete`, `job_error`, `job_cancelled`
 * @property {any} data as on the wire
 */

const kFieldsPerEvent = 3; // id, type, JSON

/** One connection to the hub, whose batches are pulled. */
class EventReader {
  /** @type {string[]} */
  #batch = [];
  #next = 0;
  /** @type {string | undefined} */
  #end;
  /** @type {(() => void) | undefined} */
  #wake;
  #channel;

  /**
   * @param {import('./hub.js').JobHub} hub
   * @param {import('./hub-channel.js').Member} member
   */
  constructor(hub, member) {
    this.#channel = hub.openStream([member], {
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

  /** How the stream ended, once nothing is left to take. */
  get end() {
    return this.#next < this.#batch.length ? undefined : this.#end;
  }

  /** @returns {StreamEvent | undefined} the next event, if one is here already */
  take() {
    if (this.#next >= this.#batch.length) return undefined;
    const [id, type, data] = this.#batch.slice(this.#next, this.#next + kFieldsPerEvent);
    this.#next += kFieldsPerEvent;
    // The next batch is asked for when this one is used up: the consumer sets the pace.
    if (this.#next >= this.#batch.length) this.#channel.acknowledge();
    return { id: id || undefined, type, data: JSON.parse(data) };
  }

  /** @returns {Promise<void>} resolves when `take` or `end` is worth another look */
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
    this.#channel.detach();
  }
}

/**
 * @param {import('./hub.js').JobHub} hub
 * @param {{handle: number}} record
 * @param {{lastEventId?: string, signal?: AbortSignal} | undefined} options
 * @param {{requested: boolean, wake: () => void}} leaving set and called when the consumer leaves
 * @returns {AsyncGenerator<StreamEvent, void, void>}
 */
async function* readEvents(hub, { handle }, { lastEventId = '', signal } = {}, leaving) {
  if (signal?.aborted) throw abortReason(signal);
  let cursor = lastEventId;
  let reader = new EventReader(hub, { handle, cursor });
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
 * Replays a job from `lastEventId` and goes on live until its terminal event. A consumer that is
 * slower than the stall limit lets the job go on without it and resumes where it was: it loses
 * nothing, it is told of a `gap` only if the log had to drop what it had not read.
 *
 * @param {import('./hub.js').JobHub} hub
 * @param {{handle: number}} record
 * @param {{lastEventId?: string, signal?: AbortSignal}} [options] `signal` ends the iteration by
 *   throwing its reason
 * @returns {AsyncIterableIterator<StreamEvent>}
 * @throws {SluiceError} `ERR_STREAM_CLOSED` when the gateway closed, `ERR_JOB_NOT_FOUND` when the
 *   job was purged before its terminal event was read
 */
export function streamEvents(hub, record, options) {
  const leaving = { requested: false, wake: () => {} };
  const events = readEvents(hub, record, options, leaving);
  return {
    next: () => events.next(),
    return: () => {
      // A generator alone would first wait for the event that a pending next() waits for.
      leaving.requested = true;
      leaving.wake();
      return events.return();
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
