/**
 * A gateway's works, put together: workflows and crawls, the jobs that are parts of them, and what is
 * counted and logged at their ends. Main thread.
 */
import { Crawls } from './crawl/crawls.js';
import { Parts } from './parts.js';
import { Workflows } from './workflows/workflows.js';
import { Works } from './works.js';

/**
 * @param {object} gateway's own
 * @param {import('./job-hub.js').JobHub} gateway.hub
 * @param {import('./job-table.js').JobTable} gateway.jobs
 * @param {import('./admission.js').Admission} gateway.admission
 * @param {import('./gateway-options.js').CheckedGatewayOptions} gateway.options
 * @param {import('./access.js').AccessControl} gateway.access
 * @param {import('./stream-urls.js').StreamUrls} gateway.streamUrls
 * @param {import('./metrics.js').GatewayMetrics} gateway.metrics
 * @param {() => number} gateway.nowMs monotonic
 * @param {() => boolean} gateway.ready whether new works are taken
 * @param {() => void} gateway.checkRoom throws while the disk is full
 * @param {(record: import('./job-table.js').JobRecord) => void} gateway.cancel ends a part
 * @param {import('./reservations.js').Reservations} gateway.reservations
 * @param {import('./retry-budget.js').RetryBudget} gateway.retryBudget
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
