/** Batches: one iterator of a provider for several jobs. */
import { record, batched, turn } from '../../../support/providers/job-runs.js';

describe('a batch', () => {
  test('is divided by index, each request with its own ending', async () => {
    const busy = Object.assign(new Error('busy'), { wireCode: 'upstream_error', type: 't' });
    const seen = [];
    const { hub, runner } = batched(async function* mixed(requests) {
      seen.push(...requests.map(({ prompt }) => prompt));
      yield { index: 1, text: 'b1' };
      yield { index: 0, text: 'a1' };
      yield { index: 2, error: busy };
      yield { index: 1, end: { reason: 'length' } };
      yield { index: 1, text: 'after its end' };
      yield { index: 0, end: {} };
    });
    const jobs = ['a', 'b', 'c'].map((prompt) => record({ prompt }));
    await runner.run(jobs);
    expect(seen).toEqual(['a', 'b', 'c']);
    const [a, b, c] = jobs.map(({ handle }) => hub.job(handle));
    expect(a).toMatchObject({ tokens: ['a1'], terminal: { type: 'complete', reason: 'stop' } });
    expect(b).toMatchObject({ tokens: ['b1'], terminal: { type: 'complete', reason: 'length' } });
    expect(c.terminal).toEqual({
      type: 'error',
      error: { code: 'upstream_error', type: 't', message: 'busy' },
    });
  });

  test('may return by itself, unaborted, once its requests have ended', async () => {
    let returned = false;
    let batchSignal;
    const { runner } = batched(async function* tidy(_, { signal }) {
      batchSignal = signal;
      yield { index: 0, end: {} };
      returned = true;
    });
    await runner.run([record()]);
    expect(returned).toBe(true);
    expect(batchSignal.aborted).toBe(false);
  });

  test('continues for the other requests when one is cancelled or at its limit', async () => {
    const signals = [];
    let batchSignal;
    let step;
    const { hub, runner } = batched(async function* endless(requests, { signal }) {
      batchSignal = signal;
      signals.push(...requests.map((request) => request.signal));
      for (;;) {
        for (const index of requests.keys()) yield { index, text: 'x' };
        await new Promise((resolve) => {
          step = resolve;
          signal.addEventListener('abort', resolve);
        });
      }
    });
    const [limited, cancelled, last] = [record({ max_tokens: 1 }), record(), record()];
    const run = runner.run([limited, cancelled, last]);
    await turn();
    expect(hub.job(limited.handle).terminal).toMatchObject({ reason: 'length' });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false, false]);
    cancelled.abort.abort();
    step();
    await turn();
    expect(hub.job(cancelled.handle).tokens).toEqual(['x']);
    expect(hub.job(last.handle).tokens).toEqual(['x', 'x']);
    expect(batchSignal.aborted).toBe(false);
    last.abort.abort();
    await run;
    expect(batchSignal.aborted).toBe(true);
  });

  test('that stops early fails the requests it has not ended', async () => {
    const { hub, runner } = batched(async function* short() {
      yield { index: 0, end: {} };
    });
    const jobs = [record(), record()];
    await runner.run(jobs);
    expect(hub.job(jobs[0].handle).terminal.type).toBe('complete');
    expect(hub.job(jobs[1].handle).terminal).toMatchObject({
      type: 'error',
      error: { code: 'upstream_incomplete', type: 'upstream_error' },
    });
  });

  test('that throws fails its open requests, and retries those without a token', async () => {
    const error = new Error('gone');
    const { hub, runner } = batched(
      async function* breaks() {
        yield { index: 0, text: 'x' };
        yield { index: 1, end: {} };
        throw error;
      },
      { mayRetry: () => true },
    );
    const jobs = [record(), record(), record()];
    expect(await runner.run(jobs)).toEqual([
      undefined,
      undefined,
      expect.objectContaining({ logged: error }),
    ]);
    expect(hub.job(jobs[0].handle).terminal).toMatchObject({ type: 'error' });
    expect(hub.job(jobs[1].handle).terminal).toMatchObject({ type: 'complete' });
    expect(hub.job(jobs[2].handle).terminal).toBeUndefined();
  });

  test('with a malformed chunk fails one request, with an unknown index all', async () => {
    const chunk = batched(async function* odd() {
      yield { index: 0, text: 7 };
      yield { index: 1, text: 'fine' };
      yield { index: 1, end: {} };
    });
    const jobs = [record(), record()];
    await chunk.runner.run(jobs);
    expect(chunk.hub.job(jobs[0].handle).terminal).toMatchObject({
      error: { code: 'provider_error' },
    });
    expect(chunk.hub.job(jobs[1].handle).terminal.type).toBe('complete');

    const index = batched(async function* lost() {
      yield { index: 2, text: 'whose?' };
    });
    await index.runner.run(jobs.map(() => record()).map((job, i) => (jobs[i] = job)));
    for (const { handle } of jobs) {
      expect(index.hub.job(handle).terminal).toMatchObject({ error: { code: 'provider_error' } });
    }
  });
});
