import { ENTRIES_MAX } from './entry-queue.js';
import { nativeOptions } from './job-options.js';

/** Characters of its tokens after which a job is sent at once, as after ENTRIES_MAX tokens. */
const LENGTH_MAX = 16 * 1024;

/** A job that its reactor does not have yet. */
class NewJob {
  createdMs = performance.now();
  /** When its first attempt began; -1 before that. */
  startedMs = -1;
  /** When it got its first token; -1 before that. */
  firstTokenMs = -1;
  /** @type {string[]} */
  texts = [];
  /** Characters of all texts. */
  length = 0;

  /** @param {any[]} options native ones */
  constructor(options) {
    this.options = options;
  }
}

/**
 * The jobs that their reactors do not have yet: those created in this turn of the event loop. One that ends before the
 * turn does, because its provider waits for nothing, is made by one native call, which also gives its final state and
 * the frames for its first reader: its end needs no way to the reactor and back. All others are sent at the end of the
 * turn, at which commands leave anyway. Plain jobs in real time only. Main thread; used by a JobHub.
 */
export class NewJobs {
  #native;
  #reactor;
  /** @type {Map<number, NewJob>} by handle */
  #jobs = new Map();
  /** Those of `complete`, used again and again. */
  #numbers = new Float64Array(8);
  /** Whether the rest is sent at the end of this turn. */
  #isDue = false;

  #endTurn = () => {
    this.#isDue = false;
    this.sendAll();
  };

  /**
   * @param {any} hub the native one
   * @param {import('../internal/native/reactor.js').Reactor} reactor
   */
  constructor(hub, reactor) {
    this.#native = hub;
    this.#reactor = reactor;
  }

  /**
   * @param {number} handle
   * @param {import('./job-options.js').JobOptions & {near?: number}} options
   * @returns {boolean} false: the job is none of those kept here
   */
  add(handle, options) {
    const { kind = 'job', whole, announce, record, copyTo, settles, near } = options;
    const isPlain = kind === 'job' && !whole && !announce && !record;
    const isAlone = copyTo === undefined && settles === undefined && near === undefined;
    if (!isPlain || !isAlone || this.#reactor.manual) return false;
    this.#jobs.set(handle, new NewJob(nativeOptions(options)));
    if (!this.#isDue) {
      this.#isDue = true;
      setImmediate(this.#endTurn);
    }
    return true;
  }

  /**
   * @param {number} handle
   * @returns {boolean} whether the job is kept here: this was its first attempt
   */
  start(handle) {
    const job = this.#jobs.get(handle);
    if (job === undefined || job.startedMs >= 0) return false;
    job.startedMs = performance.now();
    return true;
  }

  /**
   * @param {number} handle
   * @param {string} text
   * @returns {boolean} whether the job is kept here: it has the token
   */
  append(handle, text) {
    const job = this.#jobs.get(handle);
    if (job === undefined) return false;
    job.length += text.length;
    const count = job.texts.push(text);
    if (count === 1) job.firstTokenMs = performance.now();
    if (count === ENTRIES_MAX || job.length > LENGTH_MAX) {
      this.send(handle);
      this.#reactor.wake();
    }
    return true;
  }

  /**
   * Ends a job that has begun here.
   * @param {number} handle
   * @param {any[]} terminal native one
   * @returns {[state: string, frames: string] | undefined} its final state, and the frames of a short log, else empty;
   *   undefined: its reactor has the job
   */
  finish(handle, terminal) {
    const job = this.#jobs.get(handle);
    if (job === undefined) return undefined;
    if (job.startedMs < 0) {
      this.send(handle);
      return undefined;
    }
    this.#jobs.delete(handle);
    const { options, texts, firstTokenMs, createdMs, startedMs } = job;
    const numbers = this.#numbers;
    const nowMs = performance.now();
    const [jobId, , flags, graceMs, wallMs, promptTokens, retentionMs] = options;
    [numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]] = [
      flags,
      graceMs,
      wallMs,
      promptTokens,
      retentionMs,
    ];
    numbers[5] = nowMs - createdMs;
    numbers[6] = nowMs - startedMs;
    numbers[7] = firstTokenMs < 0 ? -1 : nowMs - firstTokenMs;
    const ending = this.#native.complete(handle, numbers, jobId, ...terminal, ...texts);
    this.#reactor.settleLater();
    return ending;
  }

  /**
   * Sends a job that is kept here to its reactor; for another one it does nothing.
   * @param {number} handle
   */
  send(handle) {
    const job = this.#jobs.get(handle);
    if (job === undefined) return;
    this.#jobs.delete(handle);
    this.#native.create(handle, job.options);
    if (job.startedMs >= 0) this.#native.start(handle, '');
    if (job.texts.length > 0) this.#native.appendTo(handle, job.texts);
    this.#reactor.settle();
  }

  sendAll() {
    for (const handle of this.#jobs.keys()) this.send(handle);
  }
}
