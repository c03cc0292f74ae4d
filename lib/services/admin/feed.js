import { BUCKET_S, JobSeries } from './series.js';
import { isCached } from '../../jobs/job.js';
import { stateOf } from './state.js';
import { whenAborted } from '../../internal/util/abort.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('./jobs.js').JobFilter} JobFilter */

/** Interval between two samples. */
const SAMPLE_MS = 1000;
/** Samples between two reads of slowly changing values. */
const STATE_EVERY = 5;
/** Samples kept while there are listeners: a quarter of an hour. */
const RATES_MAX = 900;
const BYTES_PER_MIB = 2 ** 20;

/**
 * @typedef {object} FeedDeps
 * @property {import('./jobs.js').AdminJobs} jobs
 * @property {import('../../jobs/execution/lifecycle.js').JobLifecycle} lifecycle
 * @property {import('../../streams/hub.js').JobHub} hub
 * @property {{stats: () => Record<string, number>}} pipeline
 * @property {import('../../internal/util/memory-budget.js').MemoryBudget} memory
 * @property {() => number} openStreams
 * @property {() => number} unixMs
 * @property {{maxConcurrency: number, incomingCapacity: number, processingCapacity: number}} options
 * @property {{version: string, durable: boolean, shared: boolean}} about
 * @property {import('./state.js').StateDeps} state
 */

/**
 * The live feed of the dashboard. While there are listeners it samples the gateway once a second, for all
 * listeners together; without a listener it has no timer and no event handlers. A slow listener
 * misses samples. Main thread; `close()` ends it.
 *
 * Events: `hello` first, `series` and `rates` with the history, then `sample` each second, `jobs`
 * when the listener's page of jobs has changed, `state` every five seconds when it has changed.
 */
export class AdminFeed {
  #deps;
  #listeners = 0;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  /** @type {JobSeries | undefined} while there are listeners */
  #series;
  /** @type {number[][]} time, tokens per second, running, queued, open streams */
  #rates = [];
  /** @type {object} the latest sample */
  #sample = {};
  /** @type {{at: number, read: Promise<{json: string, data: object}>} | undefined} */
  #state;
  #ticks = 0;
  #last = { atMs: 0, entries: 0, cpuUs: 0 };
  #closed = false;
  /** Wakes listeners at the next sample. @type {Set<() => void>} */
  #waiting = new Set();

  /** @param {FeedDeps} deps */
  constructor(deps) {
    this.#deps = deps;
  }

  /** Current number of listeners. */
  get listeners() {
    return this.#listeners;
  }

  /**
   * @param {JobFilter} filter filter of the jobs for the listener
   * @param {AbortSignal} signal ends it
   * @returns {AsyncGenerator<{event: string, data: object}>}
   */
  async *listen(filter, signal) {
    const series = this.#open();
    try {
      yield { event: 'hello', data: this.#hello() };
      yield { event: 'series', data: { bucket_s: BUCKET_S, groups: series.points() } };
      yield { event: 'rates', data: { points: this.#rates } };
      let shownJobs = '';
      let shownState = '';
      while (!signal.aborted && !this.#closed) {
        yield { event: 'sample', data: this.#sample };
        const jobs = await this.#deps.jobs.page(filter);
        const json = JSON.stringify(jobs);
        if (json !== shownJobs) yield { event: 'jobs', data: jobs };
        shownJobs = json;
        const state = await this.#currentState();
        if (state.json !== shownState) yield { event: 'state', data: state.data };
        shownState = state.json;
        await this.#nextSample(signal);
      }
    } finally {
      this.#leave();
    }
  }

  /** @returns {JobSeries} */
  #open() {
    this.#listeners += 1;
    if (this.#series !== undefined) return this.#series;
    const { lifecycle, hub } = this.#deps;
    const series = new JobSeries();
    this.#series = series;
    for (const record of lifecycle.jobs.all()) if (record.ended) this.#add(record);
    lifecycle.on('ended', this.#add);
    const cpu = process.cpuUsage();
    this.#last = {
      atMs: performance.now(),
      entries: hub.entriesAppended,
      cpuUs: cpu.user + cpu.system,
    };
    this.#take();
    this.#timer = setInterval(() => this.#take(), SAMPLE_MS).unref();
    return series;
  }

  #leave() {
    this.#listeners -= 1;
    if (this.#listeners > 0) return;
    clearInterval(this.#timer);
    this.#deps.lifecycle.off('ended', this.#add);
    this.#timer = undefined;
    this.#series = undefined;
    this.#state = undefined;
    this.#rates = [];
    this.#ticks = 0;
  }

  /** @type {(record: JobRecord) => void} */
  #add = (record) => {
    const { part, model, upstream, createdAtMs, final } = record;
    // Count the tokens of a shared answer once.
    if (part !== undefined || isCached(record)) return;
    const { status, metrics } = final;
    const { tokens, ttft_ms: ttftMs, duration_ms: durationMs } = metrics;
    const endedMs = createdAtMs + durationMs;
    this.#series?.add({ model, upstream, status, endedMs, tokens, ttftMs, durationMs });
  };

  /** Takes a sample, and passes it to the listeners. */
  #take() {
    const { hub, jobs, unixMs, pipeline, memory, openStreams } = this.#deps;
    const nowMs = performance.now();
    const entries = hub.entriesAppended;
    const cpu = process.cpuUsage();
    const cpuUs = cpu.user + cpu.system;
    const elapsedMs = Math.max(1, nowMs - this.#last.atMs);
    const at = Math.round(unixMs()) / 1000;
    const tokensPerS = this.#ticks === 0 ? 0 : ((entries - this.#last.entries) / elapsedMs) * 1000;
    const cpuShare = this.#ticks === 0 ? 0 : (cpuUs - this.#last.cpuUs) / 1000 / elapsedMs;
    this.#last = { atMs: nowMs, entries, cpuUs };
    this.#ticks += 1;
    const counts = jobs.counts();
    const queue = pipeline.stats();
    this.#series?.drop(unixMs());
    this.#sample = {
      at,
      tokens_per_s: Math.round(tokensPerS * 10) / 10,
      entries_total: entries,
      jobs: counts,
      queue: {
        waiting: queue.waiting,
        incoming: queue.incoming,
        batching: queue.batching,
        processing: queue.processing,
        retrying: queue.retrying,
        in_flight: queue.inFlight,
      },
      open_streams: openStreams(),
      memory: memory.byKind(),
      memory_limit: memory.limitBytes,
      memory_refusals: memory.refusals,
      process: {
        rss_mib: Math.round(process.memoryUsage.rss() / BYTES_PER_MIB),
        cpu: Math.round(cpuShare * 1000) / 1000,
      },
      // The last bucket, which is incomplete, and the one before, which may just have become complete.
      groups: this.#series?.points(unixMs() - BUCKET_S * 1000) ?? [],
    };
    this.#rates.push([at, Math.round(tokensPerS), counts.running, counts.queued, openStreams()]);
    if (this.#rates.length > RATES_MAX) this.#rates.shift();
    for (const wake of this.#waiting) wake();
  }

  /** @param {AbortSignal} signal @returns {Promise<void>} */
  #nextSample(signal) {
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        forget();
        resolve();
      };
      const forget = whenAborted(signal, wake);
      this.#waiting.add(wake);
    });
  }

  /** Slowly changing values, at most STATE_EVERY samples old. */
  #currentState() {
    const known = this.#state;
    if (known !== undefined && this.#ticks - known.at < STATE_EVERY) return known.read;
    const read = this.#readState();
    this.#state = { at: this.#ticks, read };
    return read;
  }

  async #readState() {
    const summary = this.#series?.summary(this.#deps.unixMs()) ?? [];
    const data = { ...(await stateOf(this.#deps.state)), summary };
    return { data, json: JSON.stringify(data) };
  }

  #hello() {
    const { options, about, state } = this.#deps;
    const { maxConcurrency, incomingCapacity, processingCapacity } = options;
    return {
      version: about.version,
      pid: process.pid,
      uptime_s: Math.round(process.uptime()),
      durable: about.durable,
      shared: about.shared,
      keyed: state.access.keyed,
      models: state.provider.models.map(({ id }) => id),
      capacity: {
        calls: maxConcurrency,
        incoming: incomingCapacity,
        processing: processingCapacity,
      },
    };
  }

  /** Ends all listeners. */
  close() {
    this.#closed = true;
    for (const wake of this.#waiting) wake();
  }
}
