/** Jobs run by a JobRunner, with a hub that only records its calls. */
import { JobRecord } from '../../../lib/jobs/job.js';
import { JobRunner } from '../../../lib/jobs/execution/runner.js';

/** A hub whose window closes after every `window` tokens until `open(handle)` is called. */
export function fakeHub({ window = Infinity } = {}) {
  const jobs = new Map();
  const job = (handle) => {
    if (!jobs.has(handle)) jobs.set(handle, { tokens: [], terminal: undefined, room: window });
    return jobs.get(handle);
  };
  return {
    jobs,
    job,
    append(handle, text) {
      job(handle).tokens.push(text);
      return job(handle).tokens.length < job(handle).room;
    },
    appendEntry(handle, entry) {
      job(handle).tokens.push(entry);
      return job(handle).tokens.length < job(handle).room;
    },
    writable(handle) {
      return new Promise((resolve) => {
        job(handle).wake = resolve;
      });
    },
    finish(handle, terminal) {
      job(handle).terminal ??= terminal;
      job(handle).wake?.();
    },
    open(handle) {
      job(handle).room += window;
      job(handle).wake();
    },
  };
}

/** A job, whose id serves as its handle. */
export function record(request = {}) {
  const made = new JobRecord({
    principal: 'ann',
    model: 'm',
    request: { prompt: 'p', ...request },
    createdAtMs: 0,
  });
  made.handle = made.id;
  return made;
}

/** A runner with a provider that answers one job per call, and the attempts it began. */
export function single(
  generate,
  { hub = fakeHub(), mayRetry = () => false, exposeErrors = true, ...fields } = {},
) {
  const provider = { name: 'p', models: [], takesBatches: false, generate, ...fields };
  const attempts = [];
  const failedAttempts = [];
  const lifecycle = {
    beginAttempt(attempted) {
      if (attempted.abort.signal.aborted) return false;
      attempts.push(attempted);
      return true;
    },
    mayRetry,
    failAttempt: (attempted, failure) => failedAttempts.push([attempted, failure]),
  };
  return {
    hub,
    attempts,
    failedAttempts,
    runner: new JobRunner({ provider, hub, lifecycle, exposeErrors }),
  };
}

/** The log of one job after its run: its `tokens` and `terminal`. */
export async function logOf(generate, request, options) {
  const { hub, runner } = single(generate, options);
  const job = record(request);
  await runner.run([job]);
  return hub.job(job.handle);
}

/** As `single`, with a provider that takes batches. */
export function batched(generateBatch, options) {
  return single(undefined, { takesBatches: true, generateBatch, ...options });
}

/** Resolves in the next turn of the event loop. */
export const turn = () => new Promise((resolve) => setImmediate(resolve));
