import { AbortState } from '../internal/util/abort.js';

/**
 * @param {import('node:http').ServerResponse} res
 * @returns {AbortState} aborted when the client leaves before it has the answer
 */
export function departureOf(res) {
  const departure = new AbortState();
  // It is emitted once.
  res.on('close', () => {
    if (!res.writableFinished) departure.abort();
  });
  return departure;
}
