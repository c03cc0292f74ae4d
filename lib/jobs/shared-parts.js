/** @typedef {import('./job.js').JobRecord} JobRecord */
/** @typedef {import('../streams/types.js').JobState} JobState */

/**
 * Details of a job's admission for its parts.
 * @typedef {object} AdmissionDetails
 * @property {import('./checked-request.js').CheckedRequest} request the whole original request
 * @property {Readonly<import('./policy/config.js').Access>} access of the job's caller
 * @property {string} endpoint of the request
 * @property {'alone' | 'begins' | 'shares'} answer `alone`: its own answer; `begins`: an answer that other jobs of
 *   this process may share; `shares`: an answer of this process that it shares
 */

/**
 * A resource that a job takes from a deployment, in addition to its log, in the script that admits it, and settles
 * in the script that ends it: limits, credit, a turn. `name` is the part's name in scripts/fragments/parts.lua.
 * JSON holds amounts as strings.
 * @typedef {object} SharedPart
 * @property {'quota' | 'hold' | 'turn' | 'usage'} name
 * @property {(record: JobRecord, details: AdmissionDetails) => unknown} [ask] returns the request of the job, plain
 *   JSON; undefined: nothing
 * @property {(record: JobRecord, result: any, details: AdmissionDetails) => void} [taken] called after it was
 *   taken; `result` is the result of `take`
 * @property {(record: JobRecord, refusal: any, details: AdmissionDetails) => Error} [refused] returns the error for
 *   the result of `check`
 * @property {(record: JobRecord, answer: JobRecord) => void} [begun] called when the job begins the answer, which
 *   may outlast it
 * @property {(record: JobRecord, held: any) => void} [adopt] called when the job was taken over from another
 *   process, with the resources that it holds
 * @property {(record: JobRecord) => 'state' | 'answer' | undefined} settles whether its ending needs a
 *   settlement, and the state to settle with
 * @property {(record: JobRecord, state: JobState) => unknown} settle returns the settlement, plain
 *   JSON, or a promise of it; undefined: nothing
 */

/**
 * The parts of the jobs of a deployment, in the order in which their results are given. Main thread.
 */
export class SharedParts {
  /** @type {SharedPart[]} */
  #parts = [];
  #log;

  /** @param {{log: import('../internal/util/logger.js').Logger}} deps */
  constructor({ log }) {
    this.#log = log;
  }

  /** @param {SharedPart} part once for each name, before the first job */
  add(part) {
    this.#parts.push(part);
  }

  /**
   * @param {JobRecord} record
   * @param {AdmissionDetails} details
   * @returns {Record<string, unknown>} requests by name of the part; parts without a request are absent
   */
  ask(record, details) {
    /** @type {Record<string, unknown>} */
    const asked = {};
    for (const part of this.#parts) {
      const own = part.ask?.(record, details);
      if (own !== undefined) asked[part.name] = own;
    }
    return asked;
  }

  /**
   * @param {JobRecord} record
   * @param {Record<string, any>} results by name of the part
   * @param {AdmissionDetails} details
   */
  taken(record, results, details) {
    for (const part of this.#parts) {
      if (part.name in results) part.taken?.(record, results[part.name], details);
    }
  }

  /**
   * @param {JobRecord} record
   * @param {string} name of the part that refuses it
   * @param {any} refusal
   * @param {AdmissionDetails} details
   * @returns {Error}
   */
  refused(record, name, refusal, details) {
    const part = this.#parts.find((each) => each.name === name);
    return part?.refused?.(record, refusal, details) ?? new Error(`no part ${name}`);
  }

  /**
   * @param {JobRecord} record
   * @param {JobRecord} answer that it begins
   */
  begun(record, answer) {
    for (const part of this.#parts) part.begun?.(record, answer);
  }

  /**
   * @param {JobRecord} record of a job of another process
   * @param {Record<string, any>} held resources by name of the part
   */
  adopt(record, held) {
    for (const part of this.#parts) {
      if (part.name in held) part.adopt?.(record, held[part.name]);
    }
  }

  /**
   * @param {JobRecord} record
   * @returns {'state' | 'answer' | undefined} undefined: its ending needs no settlement
   */
  settles(record) {
    const needs = this.#parts.map((part) => part.settles(record));
    return needs.find((need) => need === 'answer') ?? needs.find((need) => need !== undefined);
  }

  /**
   * @param {JobRecord} record that has ended
   * @param {JobState} state
   * @returns {Promise<Record<string, unknown>>} settlements by name of the part. A failing part is omitted: its
   *   reservation is charged in full
   */
  async settlement(record, state) {
    /** @type {Record<string, unknown>} */
    const settlement = {};
    for (const part of this.#parts) {
      try {
        const own = await part.settle(record, state);
        if (own !== undefined) settlement[part.name] = own;
      } catch (err) {
        const fields = { err, job_id: record.id, part: part.name };
        this.#log.error(fields, 'the ending of a job is not settled');
      }
    }
    return settlement;
  }
}
