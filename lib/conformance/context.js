/** The tools of a rule: creates jobs and opens streams, which end with the rule. */
import { Failure, Skip, brief, check } from './wire/failure.js';
import { Stream } from './wire/stream.js';
import { anyAnswer, echoedAnswer } from './fixtures/answers.js';
import { waitAtMost } from '../internal/time/wait-at-most.js';

/** @typedef {import('./types.js').Job} Job */
/** @typedef {import('./types.js').Source} Source */
/** @typedef {import('./types.js').Submission} Submission */
/** @typedef {import('./types.js').RequestParts} RequestParts */
/** @typedef {import('./types.js').Adapter} Adapter */

const STREAM_TYPE = /^text\/event-stream\s*(;|$)/i;

export class Context {
  #options;
  #origin;
  /** @type {Set<Stream>} */
  #streams = new Set();
  /** @type {Set<Source>} */
  #sources = new Set();

  /** @param {import('./settings.js').Settings} options */
  constructor(options) {
    this.#options = options;
    this.#origin = new URL(options.url);
    this.adapter = options.adapter;
    this.facts = options.facts;
    this.timeoutMs = options.timeoutMs;
    const { pathname } = this.#origin;
    /** Path before all paths of the dialect. */
    this.base = pathname === '/' ? options.adapter.defaultPath : pathname.replace(/\/$/, '');
  }

  /** Ends all streams and answers of the rule. */
  close() {
    for (const stream of this.#streams) stream.close();
    for (const source of this.#sources) source.close();
  }

  /** @param {import('./types.js').Feature} feature */
  has(feature) {
    return this.adapter.features.includes(feature);
  }

  /**
   * @param {RequestParts} parts
   * @param {(block: import('./wire/blocks.js').Block) => import('./types.js').Item[]} [decode]
   */
  #start(parts, decode = () => []) {
    const headers = { ...this.#options.headers, ...parts.headers };
    const stream = new Stream(
      this.#origin,
      { ...parts, headers },
      { decode, timeoutMs: this.timeoutMs },
    );
    this.#streams.add(stream);
    return stream;
  }

  /** A whole answer. @param {RequestParts} parts @returns {Promise<Stream>} */
  async call(parts) {
    return this.#start(parts).ended();
  }

  /**
   * An answer with a text known in advance, if the fixture supports this.
   * @param {readonly string[]} [texts] pieces
   * @returns {Promise<Source>}
   */
  async known(texts = ['The', ' quick', ' brown', ' fox', ' jumps.']) {
    const { upstream, echoModel } = this.#options;
    if (this.has('producer')) {
      const source = await this.byHand();
      for (const text of texts) await source.write(text);
      await source.end();
      return Object.assign(source, { text: texts.join('') });
    }
    if (upstream !== undefined) return this.#keep(upstream.source({ texts }));
    if (echoModel !== undefined) return echoedAnswer(texts.join(''), echoModel);
    return anyAnswer(this.#options.model);
  }

  /** An answer written by the rule. @returns {Promise<Source>} */
  async byHand() {
    if (this.has('producer')) {
      const create = /** @type {NonNullable<Adapter['source']>} */ (this.adapter.source);
      const source = create((parts) => this.call(parts), this.base);
      await source.started();
      return this.#keep(source);
    }
    return this.#keep(this.#upstream().source());
  }

  /**
   * An answer whose calls all fail with a status.
   * @param {number} status
   * @returns {Source}
   */
  refused(status) {
    return this.#keep(this.#upstream().source({ refusal: status }));
  }

  #upstream() {
    const { upstream } = this.#options;
    if (upstream === undefined) throw new Skip('needs the upstream of the suite');
    return upstream;
  }

  /**
   * The same source with a time limit for each wait: a server may never call its model, or stop reading.
   * @param {Source} source
   * @returns {Source}
   */
  #keep(source) {
    this.#sources.add(source);
    const { prompt, model, text, job } = source;
    const called = () => this.within(source.started(), 'call of the model');
    const read = async (/** @type {Promise<void>} */ promise) => {
      promise.catch(() => {});
      await this.within(promise, 'room for more text of the model', this.stallLimitMs);
    };
    return {
      ...{ prompt, model, text, job },
      started: called,
      write: (more) => called().then(() => read(source.write(more))),
      raw: (bytes) => called().then(() => read(source.raw(bytes))),
      end: () => called().then(() => read(source.end())),
      fail: () => called().then(() => source.fail()),
      left: () => this.within(source.left(), 'close of the call of the model'),
      hasLeft: () => source.hasLeft(),
      get calls() {
        return source.calls;
      },
      close: () => source.close(),
    };
  }

  /** Maximum time that a stalled reader may delay the model. */
  get stallLimitMs() {
    return this.timeoutMs + 2 * (this.facts.stallMs ?? 0);
  }

  /**
   * Submits a job; accepts any answer.
   * @param {Source} source
   * @param {Omit<Submission, 'prompt'>} [options]
   */
  post(source, options = {}) {
    const model = this.#options.model ?? source.model;
    const parts = this.adapter.submit(this.base, { prompt: source.prompt, model, ...options });
    return this.#start(parts, this.adapter.decoder());
  }

  /**
   * Submits a job that the server must accept.
   * @param {Source} source
   * @param {Omit<Submission, 'prompt'>} [options]
   * @returns {Promise<Job>}
   */
  submit(source, options) {
    const submitted = this.#submit(source, options);
    // If a rule fails before it awaits this promise, its own failure is reported.
    submitted.catch(() => {});
    return submitted;
  }

  /**
   * @param {Source} source
   * @param {Omit<Submission, 'prompt'>} [options]
   * @returns {Promise<Job>}
   */
  async #submit(source, options) {
    if (source.job !== undefined) return source.job;
    const response = await this.post(source, options).head();
    const { status } = response;
    if (STREAM_TYPE.test(response.headers['content-type'] ?? '') && status === 200) {
      // The answer is the stream; its events contain the id of the job.
      const known = () => this.adapter.accepted(response) !== undefined;
      if (this.has('resume') || this.has('cancel')) await response.until(known, 'id of the job');
      const job = this.adapter.accepted(response);
      return { id: '', ...job, first: response };
    }
    await response.ended();
    const job = this.adapter.accepted(response);
    check(job !== undefined, () => `a submission got ${status} ${brief(response.body)}`);
    return job;
  }

  /**
   * A job in the middle of its answer, with a reader that has received the text so far.
   * @param {string} text first text of the model
   * @param {Omit<Submission, 'prompt'>} [options]
   * @returns {Promise<{source: Source, job: Job, stream: Stream}>}
   */
  async running(text, options) {
    const source = await this.byHand();
    const submitted = this.submit(source, options);
    await source.write(text);
    const job = await submitted;
    const stream = await (await this.first(job)).hasText(text.trimEnd());
    return { source, job, stream };
  }

  /**
   * Requests the stream of a job; accepts any answer.
   * @param {Job} job
   * @param {{after?: string, inQuery?: boolean}} [where]
   */
  request(job, { after, inQuery } = {}) {
    return this.#start(
      this.adapter.read(this.base, job, after, inQuery),
      this.adapter.decoder(job, after),
    ).head();
  }

  /**
   * Opens the stream of a job; any other answer is a failure.
   * @param {Job} job
   * @param {{after?: string, inQuery?: boolean}} [where]
   */
  async open(job, where) {
    const stream = await this.request(job, where);
    this.checkStream(stream);
    return stream;
  }

  /** The stream in the answer to the submission, else a new one from the job's start. @param {Job} job */
  async first(job) {
    if (job.first === undefined) return this.open(job);
    this.checkStream(job.first);
    return job.first;
  }

  /** @param {Stream} stream */
  checkStream({ status, headers, body }) {
    check(status === 200, () => `a stream has the status ${status} ${brief(body)}`);
    const type = headers['content-type'] ?? 'none';
    check(STREAM_TYPE.test(type), () => `a stream has the Content-Type ${type}`);
  }

  /** @param {Job} job */
  cancel(job) {
    const { cancel } = this.adapter;
    if (cancel === undefined) throw new Failure('the adapter has no cancel');
    return this.call(cancel(this.base, job));
  }

  /** @param {Job} job */
  async state(job) {
    const { state, readState } = this.adapter;
    if (state === undefined || readState === undefined) throw new Skip('the dialect has no state');
    const response = await this.call(state(this.base, job));
    check(response.status === 200, () => `the state of a job got ${response.status}`);
    return readState(response.json);
  }

  /** @param {Job[]} jobs @param {string} [cursor] */
  async fanIn(jobs, cursor) {
    const { fanIn, fanInDecoder } = this.adapter;
    if (fanIn === undefined || fanInDecoder === undefined) throw new Skip('no fan-in');
    const stream = await this.#start(fanIn(this.base, jobs, cursor), fanInDecoder()).head();
    this.checkStream(stream);
    return stream;
  }

  /**
   * Waits for a condition outside streams.
   * @param {Promise<unknown>} promise
   * @param {string} awaited the end of "no ... within N ms"
   * @param {number} [timeoutMs]
   */
  async within(promise, awaited, timeoutMs = this.timeoutMs) {
    await waitAtMost(promise, timeoutMs, () => new Failure(`no ${awaited} within ${timeoutMs} ms`));
  }
}
