/**
 * A gateway's works, put together: workflows and crawls, the jobs that are parts of them, and what is
 * counted and logged at their ends. Main thread.
 */
import { Crawls } from '../services/crawls/service.js';
import { Parts } from '../services/operations/child-jobs.js';
import { Workflows } from '../services/workflows/service.js';
import { Works } from '../services/operations/operations.js';

/**
 * @param {object} gateway's own
 * @param {import('../streams/hub.js').JobHub} gateway.hub
 * @param {import('../jobs/job-table.js').JobTable} gateway.jobs
 * @param {import('../jobs/admission/admission.js').Admission} gateway.admission
 * @param {import('./options.js').CheckedGatewayOptions} gateway.options
 * @param {import('../jobs/policy/access-control.js').AccessControl} gateway.access
 * @param {import('../jobs/policy/signed-urls.js').StreamUrls} gateway.streamUrls
 * @param {import('./metrics.js').GatewayMetrics} gateway.metrics
 * @param {() => number} gateway.nowMs monotonic
 * @param {() => boolean} gateway.ready whether new works are taken
 * @param {() => void} gateway.checkRoom throws while the disk is full
 * @param {(record: import('../jobs/job-table.js').JobRecord) => void} gateway.cancel ends a part
 * @param {import('../jobs/rate-limits/reservations.js').Reservations} gateway.reservations
 * @param {import('../jobs/execution/retry-budget.js').RetryBudget} gateway.retryBudget
 * @param {() => Promise<unknown>} gateway.told resolves when all endings so far have been heard of
 */
export function createWorks(gateway) {
  const { hub, jobs, admission, options, access, streamUrls, metrics, nowMs, ready } = gateway;
  const { checkRoom, reservations, told, retryBudget } = gateway;
  const works = new Works({
    hub,
    maxRetained: options.maxRetainedJobs,
    hasPrincipals: () => access.keyed || options.authenticate !== undefined,
    onEnded: ({ kind, id, principal, attempt }, { status, reason, error, metrics: figures }) => {
      metrics.works.inc({ kind, status });
      const fields = { principal, status, reason, error, attempt, ...figures };
      const level = status === 'failed' ? 'error' : 'info';
      options.logger[level]({ [`${kind}_id`]: id, ...fields }, `${kind} ended`);
    },
  });
  const parts = new Parts({ admission, hub, jobs, cancel: gateway.cancel });
  const own = { works, options, access, streamUrls, hub, nowMs, ready };
  const service = { ...own, checkRoom, reservations, told };
  return {
    works,
    workflows: new Workflows({ ...service, parts, retryBudget }),
    crawls: new Crawls(service),
  };
}
