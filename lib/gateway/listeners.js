/** Connects the parts of a gateway by their events. Main thread. */
import { overheadMsOf } from '../jobs/execution/overhead.js';

/** @typedef {import('../jobs/job.js').JobRecord} JobRecord */
/**
 * @typedef {import('../internal/util/http-error.js').HttpError &
 *   {refusedBy?: {scope: string, limit: string}[]}} Refusal
 */

/**
 * Subscribes webhooks, billing, turns, metrics and the log to the ends of jobs and operations. Order
 * matters: webhooks are stored before the job counts as settled, and credit and turns are settled before the
 * end of a job is logged.
 * @param {object} parts
 * @param {import('../jobs/execution/lifecycle.js').JobLifecycle} parts.lifecycle
 * @param {import('../jobs/execution/answer-cache.js').AnswerCache} parts.cache
 * @param {import('../jobs/admission/admission.js').Admission} parts.admission
 * @param {import('../services/operations/operations.js').Operations} parts.operations
 * @param {import('../services/billing/service.js').Billing} parts.billing
 * @param {{end: (record: JobRecord) => void}} parts.turns
 * @param {import('../services/webhooks/service.js').Webhooks} parts.webhooks
 * @param {import('./metrics.js').GatewayMetrics} parts.metrics
 * @param {import('../internal/util/logger.js').Logger} parts.log
 */
export function subscribe(parts) {
  const { lifecycle, cache, admission, operations, billing, turns, webhooks, metrics, log } = parts;
  /** @param {JobRecord} record */
  const settle = (record) => {
    // An earlier process that counted the job has stored its webhooks before.
    if (!record.counted) webhooks.onJobEnded(record);
    billing.settle(record);
    turns.end(record);
  };
  lifecycle.on('ended', settle);
  lifecycle.on('restored', settle);
  lifecycle.on('settled', billing.releaseOrphans);
  lifecycle.on('ended', (record, state) => {
    metrics.observe(state, overheadMsOf(record, state.metrics.duration_ms));
    const { id, principal, model, upstream, attempts, cache: shared } = record;
    const { status, reason, error, metrics: figures } = state;
    if (record.answer === undefined) metrics.observeUpstream(record, figures);
    const failed = status === 'failed';
    const fields = {
      job_id: id,
      principal,
      model,
      upstream,
      status,
      reason,
      error,
      err: failed ? record.failure?.logged : undefined,
      cache: shared,
      attempts,
      ...figures,
    };
    log[failed ? 'error' : 'info'](fields, 'job ended');
  });
  lifecycle.on('attempt', ({ attempts }) => {
    if (attempts > 1) metrics.retries.inc();
  });
  cache.on('ended', (answer) => {
    const { final, upstream } = answer;
    if (final?.status === 'completed') lifecycle.retryBudgets.of(upstream).onSuccess();
    if (final !== undefined) metrics.observeUpstream(answer, final.metrics);
    billing.settle(answer);
  });
  admission.on('admitted', ({ cache: result }) => {
    if (result !== undefined) metrics.cacheLookups.inc({ result });
  });
  admission.on('refused', (/** @type {Refusal} */ { wireCode: code, refusedBy = [] }, record) => {
    metrics.rejected.inc({ code });
    for (const labels of refusedBy) metrics.rateLimited.inc(labels);
    const { principal, model } = record;
    log.debug?.({ principal, model, code, refused_by: refusedBy }, 'job refused');
  });
  operations.on('ended', (operation, state) => {
    const { kind, id, principal, attempt } = operation;
    webhooks.onOperationEnded(operation, state);
    const { status, reason, error, metrics: figures } = state;
    metrics.operations.inc({ kind, status });
    const fields = { principal, status, reason, error, attempt, ...figures };
    log[status === 'failed' ? 'error' : 'info']({ [`${kind}_id`]: id, ...fields }, `${kind} ended`);
  });
}
