/**
 * The pipeline of a gateway's jobs: from the queue, in batches, to the runner. Main thread only.
 */
import { Pipeline } from '../../primitives/scheduling/pipeline.js';
import { SluiceError } from '../../internal/util/errors.js';

/** @typedef {import('../job.js').JobRecord} JobRecord */

/**
 * @param {import('./failure.js').Failure} failure of an attempt
 * @returns {SluiceError} error after which the pipeline retries
 */
function retryable({ retryAfterMs }) {
  const details = { retryable: true, retryAfterMs };
  return new SluiceError('ERR_ATTEMPT_FAILED', 'The attempt failed.', details);
}

/**
 * Runs one attempt of each job of a batch. Returns an error for each job that may be retried; all
 * other endings go to the hub.
 * @param {import('./runner.js').JobRunner} runner
 * @param {JobRecord[]} batch
 */
async function attempt(runner, batch) {
  const failures = await runner.run(batch);
  return failures.map((failure) => (failure === undefined ? '' : retryable(failure)));
}

/**
 * @param {import('../settings.js').Settings} options
 * @param {import('./runner.js').JobRunner} runner
 * @returns {Pipeline<JobRecord>}
 */
export function createJobPipeline(options, runner) {
  const { batching, maxConcurrency, incomingCapacity, processingCapacity, retry, clock } = options;
  const processOne = (/** @type {JobRecord} */ record) =>
    runner.runOne(record)?.then((failure) => failure && retryable(failure));
  return new Pipeline(
    {
      process: (/** @type {JobRecord[]} */ batch) => attempt(runner, batch),
      ...batching,
      maxConcurrency,
      incomingCapacity,
      processingCapacity,
      retry,
      clock,
      discardResults: true,
    },
    { processOne },
  );
}

/**
 * Number of waiting requests and of running batches.
 * @param {Pick<Pipeline, 'stats'>} pipeline
 * @returns {{queued: number, inFlightBatches: number}}
 */
export function loadOf(pipeline) {
  const { incoming, batching, processing, retrying, inFlight } = pipeline.stats();
  return { queued: incoming + batching + processing + retrying, inFlightBatches: inFlight };
}
