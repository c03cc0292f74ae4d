/**
 * @param {import('node:http').ServerResponse} res
 * @returns {AbortSignal} aborted when the client leaves before it has the answer
 */
export function departureOf(res) {
  const controller = new AbortController();
  res.once('close', () => {
    if (!res.writableFinished) controller.abort();
  });
  return controller.signal;
}
