/** Seconds per point of the charts. */
export const BUCKET_S = 10;
const BUCKET_MS = BUCKET_S * 1000;
/** Fifteen minutes. */
const BUCKETS_MAX = 90;
/** Maximum values of each kind per bucket; further ones replace random ones. */
const VALUES_MAX = 256;
/** Maximum pairs of a model and an upstream; all others form one group. */
const GROUPS_MAX = 20;
/** Buckets of the summary: five minutes. */
const SUMMARY_BUCKETS = 30;

/**
 * @typedef {object} Ended facts about a job that has ended
 * @property {string} model
 * @property {string} [upstream]
 * @property {string} status
 * @property {number} endedMs Unix time
 * @property {number} tokens
 * @property {number | null} ttftMs to the first token
 * @property {number} durationMs
 */

/** @typedef {{jobs: number, failed: number, tokens: number, ttft: number[], gap: number[], seen: number}} Bucket */

/**
 * A point: [time, jobs, failed, tokens, first token p50, p95, p99, time per token p50, p95, p99]. Times in
 * Unix seconds and milliseconds; null: no value.
 * @typedef {(number | null)[]} Point
 */

/** @returns {Bucket} */
const emptyBucket = () => ({ jobs: 0, failed: 0, tokens: 0, ttft: [], gap: [], seen: 0 });

/**
 * @param {number[]} sorted
 * @param {number} share from 0 to 1
 * @returns {number | null} the nearest-rank percentile; null without values
 */
export function percentile(sorted, share) {
  if (sorted.length === 0) return null;
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

/** @param {number[]} values @returns {(number | null)[]} p50, p95, p99 */
function percentilesOf(values) {
  const sorted = Float64Array.from(values).sort();
  return [0.5, 0.95, 0.99].map((share) => {
    const value = percentile(/** @type {any} */ (sorted), share);
    return value === null ? null : Math.round(value * 100) / 100;
  });
}

/** @param {number} at @param {Bucket} bucket @returns {Point} */
function pointOf(at, { jobs, failed, tokens, ttft, gap }) {
  return [at / 1000, jobs, failed, tokens, ...percentilesOf(ttft), ...percentilesOf(gap)];
}

/** The jobs of one model at one upstream, or of all. */
class Group {
  /** @type {Map<number, Bucket>} by their start, in any order */
  #buckets = new Map();

  /**
   * @param {string} model empty: all
   * @param {string} upstream empty: the upstreams have no names
   */
  constructor(model, upstream) {
    this.model = model;
    this.upstream = upstream;
  }

  /** @param {Ended} ended @param {number} at start of its bucket */
  add({ status, tokens, ttftMs, durationMs }, at) {
    const bucket = this.#buckets.get(at) ?? emptyBucket();
    this.#buckets.set(at, bucket);
    bucket.jobs += 1;
    bucket.tokens += tokens;
    if (status === 'failed') bucket.failed += 1;
    bucket.seen += 1;
    // Reservoir sampling: each value has the same chance to be kept.
    const place =
      bucket.seen <= VALUES_MAX ? bucket.seen - 1 : Math.floor(Math.random() * bucket.seen);
    if (place >= VALUES_MAX || ttftMs === null) return;
    bucket.ttft[bucket.ttft.length < VALUES_MAX ? bucket.ttft.length : place] = ttftMs;
    if (tokens < 2) return;
    const gapMs = (durationMs - ttftMs) / (tokens - 1);
    bucket.gap[bucket.gap.length < VALUES_MAX ? bucket.gap.length : place] = gapMs;
  }

  /** @param {number} before start of the oldest bucket to keep */
  drop(before) {
    for (const at of this.#buckets.keys()) if (at < before) this.#buckets.delete(at);
    return this.#buckets.size === 0;
  }

  /** @param {number} from @returns {Point[]} the buckets from this one on, in order */
  points(from) {
    const times = [...this.#buckets.keys()].filter((at) => at >= from).sort((a, b) => a - b);
    return times.map((at) => pointOf(at, /** @type {Bucket} */ (this.#buckets.get(at))));
  }

  /** @param {number} from start of the first bucket @returns {Point} values of all buckets from there on */
  summary(from) {
    const sum = emptyBucket();
    for (const [at, bucket] of this.#buckets) {
      if (at < from) continue;
      sum.jobs += bucket.jobs;
      sum.failed += bucket.failed;
      sum.tokens += bucket.tokens;
      sum.ttft.push(...bucket.ttft);
      sum.gap.push(...bucket.gap);
    }
    return pointOf(from, sum);
  }
}

/**
 * Figures of the jobs that ended in the last fifteen minutes, in buckets of ten seconds, by model and
 * upstream. Memory is bounded: 21 groups of 90 buckets of 512 values. Main thread.
 */
export class JobSeries {
  /** @type {Map<string, Group>} */
  #groups = new Map();
  #all = new Group('', '');

  /** @param {Ended} ended */
  add(ended) {
    const at = Math.floor(ended.endedMs / BUCKET_MS) * BUCKET_MS;
    this.#all.add(ended, at);
    this.#groupOf(ended).add(ended, at);
  }

  /** @param {Ended} ended */
  #groupOf({ model, upstream = '' }) {
    const name = JSON.stringify([model, upstream]);
    let group = this.#groups.get(name);
    if (group !== undefined) return group;
    const isOther = this.#groups.size >= GROUPS_MAX;
    const key = isOther ? '' : name;
    group = this.#groups.get(key) ?? new Group(isOther ? '(others)' : model, upstream);
    this.#groups.set(key, group);
    return group;
  }

  /** @param {number} nowMs Unix time */
  drop(nowMs) {
    const before = Math.floor(nowMs / BUCKET_MS) * BUCKET_MS - (BUCKETS_MAX - 1) * BUCKET_MS;
    this.#all.drop(before);
    for (const [key, group] of this.#groups) if (group.drop(before)) this.#groups.delete(key);
  }

  /** @returns {Group[]} groups, that of all jobs first */
  #every() {
    return [this.#all, ...this.#groups.values()];
  }

  /**
   * @param {number} [fromMs] Unix time; default: everything kept
   * @returns {{model: string, upstream: string, points: Point[]}[]} the first group, without a model, is of
   *   all jobs
   */
  points(fromMs = 0) {
    const from = Math.floor(fromMs / BUCKET_MS) * BUCKET_MS;
    return this.#every().map((group) => {
      const { model, upstream } = group;
      return { model, upstream, points: group.points(from) };
    });
  }

  /**
   * @param {number} nowMs Unix time
   * @returns {{model: string, upstream: string, point: Point}[]} figures of the last five minutes
   */
  summary(nowMs) {
    const from = Math.floor(nowMs / BUCKET_MS) * BUCKET_MS - (SUMMARY_BUCKETS - 1) * BUCKET_MS;
    return this.#every().map((group) => {
      const { model, upstream } = group;
      return { model, upstream, point: group.summary(from) };
    });
  }
}
