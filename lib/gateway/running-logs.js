/**
 * Bytes of the logs of open jobs and operations, by principal. Jobs that share an answer
 * share its text, which counts once.
 * @param {object} deps
 * @param {import('../streams/hub.js').JobHub} deps.hub
 * @param {import('../jobs/job-table.js').JobTable} deps.jobs
 * @param {import('../services/operations/operations.js').Operations} deps.operations
 * @returns {Promise<Map<string, number>>}
 */
export async function runningLogBytes({ hub, jobs, operations }) {
  const answers = new Set();
  const alone = jobs.active().filter(({ answer }) => {
    const known = answer !== undefined && answers.has(answer);
    if (answer !== undefined) answers.add(answer);
    return !known;
  });
  const logs = [...alone, ...operations.active()];
  const states = await Promise.all(logs.map(({ handle }) => hub.snapshot(handle, { text: false })));
  /** @type {Map<string, number>} */
  const byPrincipal = new Map();
  logs.forEach(({ principal }, i) => {
    const bytes = /** @type {any} */ (states[i])?.log_bytes ?? 0;
    byPrincipal.set(principal, (byPrincipal.get(principal) ?? 0) + bytes);
  });
  return byPrincipal;
}
