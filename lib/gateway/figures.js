/** Figures of a gateway that several of its parts have together. */

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

/**
 * @param {object} parts
 * @param {import('../services/billing/service.js').Billing} parts.billing
 * @param {import('../jobs/execution/lifecycle.js').JobLifecycle} parts.lifecycle
 * @param {boolean} parts.isShared
 * @returns {number} holds that are not settled; of a deployment, those of this process
 */
export function openHolds({ billing, lifecycle, isShared }) {
  if (!isShared) return billing.jobs.open;
  const active = lifecycle.jobs.active().filter(({ extra }) => holdsCredit(extra));
  return billing.jobs.open + active.length;
}

/** @param {import('../jobs/job.js').JobRecord['extra']} extra */
function holdsCredit(extra) {
  const bill = /** @type {import('../services/billing/charges.js').Bill | undefined} */ (
    extra?.credit
  );
  return bill !== undefined && bill.held !== '0';
}

/**
 * @param {object} parts
 * @param {import('../jobs/rate-limits/reservations.js').Reservations} parts.reservations
 * @param {import('../jobs/rate-limits/shared-reservations.js').SharedReservations} [parts.sharedReservations]
 * @param {import('../jobs/execution/lifecycle.js').JobLifecycle} parts.lifecycle
 * @returns {number} reservations that are not settled; of a deployment, those of this process
 */
export function openLeases({ reservations, sharedReservations, lifecycle }) {
  if (sharedReservations === undefined) return reservations.open;
  const active = lifecycle.jobs.active().filter(({ reservation }) => reservation !== undefined);
  return reservations.open + sharedReservations.open + active.length;
}
