/** Pipelines, results and deferred promises for the tests of scheduling. */
import { setImmediate as turn } from 'node:timers/promises';
import { ManualClock } from '../../lib/internal/time/clock.js';
import { Pipeline } from '../../lib/primitives/scheduling/pipeline.js';

/** Resolves once the callbacks of all settled promises have run. */
export const settled = () => turn();

export function deferred() {
  const out = {};
  out.promise = new Promise((resolve, reject) => Object.assign(out, { resolve, reject }));
  return out;
}

export const echo = (batch) => batch.map((request) => request.text ?? request.request_id);

/** A pipeline under a manual clock, and its calls of `process` as `{atMs, ids}`. */
export function manual(options = {}) {
  const clock = new ManualClock();
  const calls = [];
  const process = options.process ?? echo;
  const pipeline = new Pipeline({
    ...options,
    clock,
    process(batch, context) {
      calls.push({ atMs: clock.nowMs(), ids: batch.map((request) => request.request_id) });
      return process(batch, context);
    },
  });
  return { clock, calls, pipeline };
}

export async function collect(pipeline) {
  const results = [];
  for await (const result of pipeline.results()) results.push(result);
  return results;
}

export const ids = (first, last) =>
  Array.from({ length: last - first + 1 }, (_, i) => ({ request_id: `r${first + i}` }));
