import { AbortState } from '../internal/util/abort.js';

/**
 * @param {import('node:http').ServerResponse} res
 * @param {AbortState} departure aborted if the client disconnects before the end of the answer
 */
export function abortOnDeparture(res, departure) {
  // The event is emitted only once.
  res.on('close', () => {
    if (!res.writableFinished) departure.abort();
  });
}

/**
 * @param {import('node:http').ServerResponse} res
 * @returns {AbortState} aborted if the client disconnects before the end of the answer
 */
export function departureOf(res) {
  const departure = new AbortState();
  abortOnDeparture(res, departure);
  return departure;
}
