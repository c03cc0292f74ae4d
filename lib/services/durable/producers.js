/** Idempotent producers: detects repeated requests. Pure. */
import { epochStartsAtZero, producerGap, staleEpoch } from './errors.js';

/**
 * A request of a producer.
 * @typedef {object} Producer
 * @property {string} id
 * @property {number} epoch
 * @property {number} seq of the request within the epoch, from 0
 */

/** @typedef {{epoch: number, seq: number}} ProducerState the last accepted request */

/**
 * @param {ProducerState | undefined} state undefined: a new producer
 * @param {Producer} request
 * @returns {boolean} true: new; false: a repetition of an accepted request
 * @throws {import('../../internal/util/http-error.js').HttpError} 400, 403 or 409
 */
export function isNewRequest(state, { epoch, seq }) {
  if (state !== undefined && epoch < state.epoch) throw staleEpoch(state.epoch);
  if (state === undefined || epoch > state.epoch) {
    if (seq === 0) return true;
    throw state === undefined ? producerGap(0, seq) : epochStartsAtZero();
  }
  if (seq > state.seq + 1) throw producerGap(state.seq + 1, seq);
  return seq === state.seq + 1;
}
