import { HttpError, badRequest } from '../../../internal/util/http-error.js';
import { answerMessages, inputItems, isReference } from './items.js';
import { faceOf, jobIdOf, tailOf } from '../ids.js';
import { stringifyExact } from '../../../internal/util/exact-json.js';

/** @typedef {import('../../../jobs/job.js').JobRecord} JobRecord */

/**
 * Data of a response stored with its job.
 * @typedef {object} ResponseFace
 * @property {'responses'} dialect
 * @property {string | null} model as requested
 * @property {object} envelope the members of the response object that repeat the request
 * @property {boolean} summary whether reasoning is shown as its summary
 * @property {boolean} background
 * @property {boolean} store
 * @property {import('./items.js').Item[]} input the items of its own input
 * @property {import('./items.js').Message[]} messages of the whole chain, without instructions
 * @property {number} [retention_ms] of its log
 */

/** Reasons of a completed job whose response is `incomplete`. */
const INCOMPLETE = new Set(['length', 'content_filter']);

/** @param {string} id */
function responseNotFound(id) {
  return new HttpError(404, {
    code: 'response_not_found',
    param: 'response_id',
    message: `No response with the id ${JSON.stringify(id.slice(0, 100))}.`,
  });
}

/** @param {string} message */
function noPrevious(message) {
  return badRequest('previous_response_not_found', 'previous_response_id', message);
}

/**
 * The responses of callers, by their jobs: looked up, described, and read as what a next one continues.
 * Main thread.
 */
export class Responses {
  #hub;
  #directory;
  #stored;

  /**
   * @param {object} deps
   * @param {import('../../../streams/hub.js').JobHub} deps.hub
   * @param {import('../../../jobs/job-directory.js').JobDirectory} deps.directory
   * @param {import('./stored.js').StoredResponses} deps.stored
   */
  constructor({ hub, directory, stored }) {
    this.#hub = hub;
    this.#directory = directory;
    this.#stored = stored;
  }

  /**
   * @param {JobRecord} record
   * @param {ResponseFace} face
   * @param {number} [after] number of frames that the client has received
   * @returns {import('../../../streams/types.js').FaceOptions}
   */
  framesOf(record, face, after = 0) {
    const tail = tailOf(record);
    return {
      dialect: 'responses',
      id: `resp_${tail}`,
      tail,
      model: face.model ?? record.model,
      created: Math.floor(record.createdAtMs / 1000),
      envelope: stringifyExact(face.envelope),
      reasoningSummary: face.summary,
      background: face.background,
      after,
    };
  }

  /**
   * @param {JobRecord} record
   * @param {ResponseFace} face
   * @returns {Promise<any>} the response object for the current log
   */
  async describe(record, face) {
    const response = await this.#hub.answer(record.handle, this.framesOf(record, face));
    if (response === null) throw responseNotFound(`resp_${tailOf(record)}`);
    return response;
  }

  /**
   * A stored response of the caller.
   * @param {string} id
   * @param {string} principal
   * @returns {Promise<{record: JobRecord, face: ResponseFace} | undefined>}
   */
  async find(id, principal) {
    const record = await this.#directory.find(jobIdOf('resp_', id), principal);
    const face = /** @type {ResponseFace | undefined} */ (faceOf(record, 'responses'));
    const isKept = record !== undefined && face?.store === true && !this.#stored.isEvicted(record);
    return isKept ? { record, face } : undefined;
  }

  /**
   * As `find`.
   * @param {string} id
   * @param {string} principal
   * @throws {HttpError} 404
   */
  async get(id, principal) {
    const found = await this.find(id, principal);
    if (found === undefined) throw responseNotFound(id);
    return found;
  }

  /**
   * @param {JobRecord} record
   * @returns {Promise<import('./items.js').Message[]>} the message of its answer
   */
  async #answerOf({ handle }) {
    const state = await this.#hub.snapshot(handle, { items: true });
    return answerMessages(state?.items ?? []);
  }

  /**
   * The messages of the chain that ends with a response, once it has ended.
   * @param {string | undefined} id
   * @param {string} principal
   * @returns {Promise<import('./items.js').Message[]>} none without an id
   * @throws {HttpError} 400 when it is unknown, or has not been completed
   */
  async chain(id, principal) {
    if (id === undefined) return [];
    const found = await this.find(id, principal);
    if (found === undefined) {
      throw noPrevious(`No stored response ${JSON.stringify(id.slice(0, 100))}.`);
    }
    const { record, face } = found;
    if (!record.ended) await this.#directory.settled(record);
    const { status, reason } = record.final ?? {};
    if (status !== 'completed' || INCOMPLETE.has(reason)) {
      throw noPrevious(`The response ${id} is not completed.`);
    }
    return [...face.messages, ...(await this.#answerOf(record))];
  }

  /**
   * Replaces references to items of stored responses by these items.
   * @param {import('./items.js').Item[]} items
   * @param {string} principal
   */
  async resolved(items, principal) {
    return Promise.all(
      items.map(async (item, i) => {
        if (!isReference(item)) return item;
        const tail = /^[a-z]+_(.{24})_/.exec(String(item.id))?.[1] ?? '';
        const found = await this.find(`resp_${tail}`, principal);
        const output = found && (await this.describe(found.record, found.face)).output;
        const all = [...(output ?? []), ...inputItems(found?.face.input ?? [], tail)];
        const named = all.find(({ id }) => id === item.id);
        if (named !== undefined) return named;
        throw badRequest('item_not_found', `input[${i}].id`, `No stored item has this id.`);
      }),
    );
  }
}
