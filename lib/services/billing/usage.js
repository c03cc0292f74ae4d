/** @typedef {import('../../jobs/storage/rows.js').Counts} Counts */
/** @typedef {import('../../jobs/storage/rows.js').UsageRow} UsageRow */

/**
 * Persistent store of usage counts.
 * @typedef {object} UsageFile
 * @property {() => UsageRow[]} takeUsage rows of earlier processes, oldest first; returned once
 * @property {(row: UsageRow, jobId: string) => void} addUsage adds the counts of one job, unless
 *   already counted
 * @property {(hour: number) => void} dropUsage deletes the rows of this hour and before
 */

const HOUR_MS = 3_600_000;
const HOURS_PER_DAY = 24;
const ROWS_MAX = 200_000;

/** Fields by which usage may be grouped. */
export const groupings = Object.freeze(/** @type {const} */ (['model', 'key', 'day', 'key_day']));

/** @typedef {typeof groupings[number]} Grouping */

/** @returns {Counts} */
function nothing() {
  return {
    requests: 0,
    prompt_tokens: 0,
    completion_tokens: 0,
    cached_requests: 0,
    cached_prompt_tokens: 0,
    cached_completion_tokens: 0,
    cost: 0n,
  };
}

/**
 * @param {Counts} sum added to
 * @param {Counts} counts
 */
function add(sum, counts) {
  sum.requests += counts.requests;
  sum.prompt_tokens += counts.prompt_tokens;
  sum.completion_tokens += counts.completion_tokens;
  sum.cached_requests += counts.cached_requests;
  sum.cached_prompt_tokens += counts.cached_prompt_tokens;
  sum.cached_completion_tokens += counts.cached_completion_tokens;
  sum.cost += counts.cost;
}

/**
 * @param {Pick<import('./charges.js').Settlement, 'cached' | 'usage' | 'cost'>} settlement
 * @returns {Counts}
 */
export function countsOf({ cached, usage: { prompt_tokens, completion_tokens }, cost }) {
  const counts = { ...nothing(), requests: 1, cost };
  if (!cached) return { ...counts, prompt_tokens, completion_tokens };
  return {
    ...counts,
    cached_requests: 1,
    cached_prompt_tokens: prompt_tokens,
    cached_completion_tokens: completion_tokens,
  };
}

/** @param {number} hour since 1970 @returns {string} its day in UTC, as in `2026-01-31` */
const dayOf = (hour) => new Date(hour * HOUR_MS).toISOString().slice(0, 10);

/** @type {Record<Grouping, (row: UsageRow) => string>} */
const groupOf = {
  model: ({ model }) => model,
  key: ({ principal }) => principal,
  day: ({ hour }) => dayOf(hour),
  key_day: ({ hour, principal }) => `${dayOf(hour)} ${principal}`,
};

/** @param {UsageRow} row */
const nameOf = ({ hour, principal, model }) => JSON.stringify([hour, principal, model]);

/**
 * Usage and its cost, counted once per ended job, by hour, principal and model. Main thread. Beyond
 * `rowsMax` rows the oldest are dropped. With a data file the counts survive a restart.
 *
 * Lives as long as its gateway.
 */
export class UsageTable {
  /** @type {Map<string, UsageRow>} roughly in the order of time */
  #rows = new Map();
  /** The row that was counted last, which most jobs have in common. @type {UsageRow | undefined} */
  #last;
  #nowMs;
  #rowsMax;
  #file;

  /**
   * @param {object} deps
   * @param {() => number} deps.nowMs Unix time
   * @param {UsageFile} [deps.file]
   * @param {number} [deps.rowsMax]
   */
  constructor({ nowMs, file, rowsMax = ROWS_MAX }) {
    this.#nowMs = nowMs;
    this.#rowsMax = rowsMax;
    this.#file = file;
    for (const row of file?.takeUsage() ?? []) this.#add(row);
  }

  /** @param {import('./charges.js').Settlement} settlement settlement of a job not counted yet */
  count(settlement) {
    const { id, principal, model } = settlement.record;
    const hour = Math.floor(this.#nowMs() / HOUR_MS);
    const row = { hour, principal, model, ...countsOf(settlement) };
    this.#add(row);
    this.#file?.addUsage(row, id);
  }

  /**
   * Moves the usage of one caller to another name.
   * @param {string} principal
   * @param {string} name
   * @returns {UsageRow[]} the added rows
   */
  rename(principal, name) {
    const rows = [...this.#rows.values()].filter((row) => row.principal === principal);
    const renamed = rows.map((row) => ({ ...row, principal: name }));
    this.#last = undefined;
    for (const row of rows) this.#rows.delete(nameOf(row));
    for (const row of renamed) this.#add(row);
    return renamed;
  }

  /** @param {UsageRow} row */
  #add(row) {
    const last = this.#last;
    const { hour, principal, model } = row;
    if (last?.hour === hour && last.principal === principal && last.model === model) {
      add(last, row);
      return;
    }
    const name = nameOf(row);
    const known = this.#rows.get(name);
    this.#last = known ?? { ...row };
    if (known !== undefined) {
      add(known, row);
      return;
    }
    this.#rows.set(name, this.#last);
    if (this.#rows.size > this.#rowsMax) this.#dropOldest();
  }

  /** Drops whole hours, so that the remaining hours are complete. */
  #dropOldest() {
    this.#last = undefined;
    const [{ hour }] = this.#rows.values();
    for (const [name, row] of this.#rows) {
      if (row.hour > hour) break;
      this.#rows.delete(name);
    }
    this.#file?.dropUsage(hour);
  }

  /**
   * @param {object} query
   * @param {number} query.fromMs Unix time; its whole hour is included
   * @param {number} query.toMs Unix time, exclusive, but its hour is included as a whole
   * @param {Grouping} query.groupBy
   * @param {string} [query.principal] default: all
   * @returns {{data: ({group: string} & Counts)[], total: Counts}} `data` in the order of the
   *   groups
   */
  query({ fromMs, toMs, groupBy, principal }) {
    const { from, to } = hoursOf({ fromMs, toMs });
    const rows = [...this.#rows.values()].filter(
      (row) =>
        row.hour >= from &&
        row.hour < to &&
        (principal === undefined || row.principal === principal),
    );
    return groupRows(rows, groupBy);
  }
}

/**
 * @param {{fromMs: number, toMs: number}} range
 * @returns {{from: number, to: number}} hours since 1970; `to` is exclusive
 */
export function hoursOf({ fromMs, toMs }) {
  return { from: Math.floor(fromMs / HOUR_MS), to: Math.ceil(toMs / HOUR_MS) };
}

/**
 * @param {Iterable<UsageRow>} rows
 * @param {Grouping} groupBy
 * @returns {{data: ({group: string} & Counts)[], total: Counts}} `data` in the order of the groups
 */
export function groupRows(rows, groupBy) {
  /** @type {Map<string, {group: string} & Counts>} */
  const groups = new Map();
  const total = nothing();
  for (const row of rows) {
    const group = groupOf[groupBy](row);
    let sum = groups.get(group);
    if (sum === undefined) groups.set(group, (sum = { group, ...nothing() }));
    add(sum, row);
    add(total, row);
  }
  const data = [...groups.values()].sort((a, b) => (a.group < b.group ? -1 : 1));
  return { data, total };
}

/** Default span of a usage query. */
export const USAGE_DEFAULT_MS = 30 * HOURS_PER_DAY * HOUR_MS;
