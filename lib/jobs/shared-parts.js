/** @typedef {import('./job.js').JobRecord} JobRecord */
/** @typedef {import('../streams/types.js').JobState} JobState */

/**
 * How a job is admitted, as its parts see it.
 * @typedef {object} AdmittedHow
 * @property {import('./checked-request.js').CheckedRequest} request whole, as it came
 * @property {Readonly<import('./policy/config.js').Access>} access of the job's caller
 * @property {string} endpoint of the request
 * @property {'alone' | 'begins' | 'shares'} answer the job's own; one that it begins and other jobs of this
 *   process may share; or one of this process that it shares
 */

/**
 * What a job takes from a deployment in the script that admits it, beside its log, and settles in the script
 * that ends it: limits, credit, a turn. `name` is that of the part in scripts/fragments/parts.lua. JSON holds
 * amounts as texts.
 * @typedef {object} SharedPart
 * @property {'quota' | 'hold' | 'turn' | 'usage'} name
 * @property {(record: JobRecord, how: AdmittedHow) => unknown} [ask] what the job takes, plain JSON;
 *   undefined: nothing
 * @property {(record: JobRecord, result: any, how: AdmittedHow) => void} [taken] it has taken it; `result` is
 *   what `take` has given
 * @property {(record: JobRecord, refusal: any, how: AdmittedHow) => Error} [refused] the error for what
 *   `check` has given
 * @property {(record: JobRecord, answer: JobRecord) => void} [begun] the job begins the answer, which may
 *   outlast it
 * @property {(record: JobRecord, held: any) => void} [adopt] the job was taken over from another process, with
 *   what it holds
 * @property {(record: JobRecord) => 'state' | 'answer' | undefined} settles whether its ending is to be
 *   settled, and with which state
 * @property {(record: JobRecord, state: JobState) => unknown} settle what the ending is settled with, plain
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
   * @param {AdmittedHow} how
   * @returns {Record<string, unknown>} what each part takes, by name; without those that take nothing
   */
  ask(record, how) {
    /** @type {Record<string, unknown>} */
    const asked = {};
    for (const part of this.#parts) {
      const own = part.ask?.(record, how);
      if (own !== undefined) asked[part.name] = own;
    }
    return asked;
  }

  /**
   * @param {JobRecord} record
   * @param {Record<string, any>} results by name of the part
   * @param {AdmittedHow} how
   */
  taken(record, results, how) {
    for (const part of this.#parts) {
      if (part.name in results) part.taken?.(record, results[part.name], how);
    }
  }

  /**
   * @param {JobRecord} record
   * @param {string} name of the part that refuses it
   * @param {any} refusal
   * @param {AdmittedHow} how
   * @returns {Error}
   */
  refused(record, name, refusal, how) {
    const part = this.#parts.find((each) => each.name === name);
    return part?.refused?.(record, refusal, how) ?? new Error(`no part ${name}`);
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
   * @param {Record<string, any>} held by name of the part
   */
  adopt(record, held) {
    for (const part of this.#parts) {
      if (part.name in held) part.adopt?.(record, held[part.name]);
    }
  }

  /**
   * @param {JobRecord} record
   * @returns {'state' | 'answer' | undefined} undefined: its ending is not settled
   */
  settles(record) {
    const needs = this.#parts.map((part) => part.settles(record));
    return needs.find((need) => need === 'answer') ?? needs.find((need) => need !== undefined);
  }

  /**
   * @param {JobRecord} record that has ended
   * @param {JobState} state
   * @returns {Promise<Record<string, unknown>>} by name of the part. A part that fails is left out: what it
   *   holds is settled as it was taken
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
