/** Failures of tasks: dependants, retries, time-outs, throwOnFailure. */
import { ManualClock, TaskGraph } from '../../../../lib/index.js';
import { collect } from '../../../support/streams/collect.js';
import { deferred, settled } from '../../../support/pipeline.js';
import { words, value, failing, play } from '../../../support/task-graphs.js';

describe('TaskGraph failures', () => {
  test('skip their dependants, name the cause, and leave the rest running', async () => {
    const graph = new TaskGraph()
      .add('bad', failing('no luck'))
      .add('next', { after: ['bad'], ...value(1) })
      .add('far', { after: ['next'], ...value(1) })
      .add('apart', value(2))
      .add('alone', { after: ['apart'], run: ({ inputs }) => inputs.apart });
    const events = await collect(graph.run());
    expect(words(events).sort()).toEqual([
      'complete alone',
      'complete apart',
      'failed bad',
      'skipped far (bad)',
      'skipped next (bad)',
      'started alone',
      'started apart',
      'started bad',
    ]);
    expect(events.find(({ type }) => type === 'failed').error.message).toBe('no luck');
  });

  test('never reach a dependant as if they were output', async () => {
    const graph = new TaskGraph()
      .add('bad', { ...failing('secret words'), onFailure: 'continue' })
      .add('good', value('text'))
      .add('last', { after: ['bad', 'good'], run: ({ inputs }) => inputs });
    const events = await collect(graph.run());
    const { value: inputs } = events.at(-1);
    expect(Object.keys(inputs)).toEqual(['bad', 'good']);
    expect(inputs).toEqual({ bad: undefined, good: 'text' });
  });

  test('thrown synchronously are failures like others', async () => {
    const graph = new TaskGraph().add('a', {
      run: () => {
        throw new Error('at once');
      },
    });
    expect(words(await collect(graph.run()))).toEqual(['started a', 'failed a']);
  });
});

describe('TaskGraph retries', () => {
  const flaky = (failures, details) => {
    let calls = 0;
    return async ({ attempt }) => {
      calls += 1;
      expect(attempt).toBe(calls);
      if (calls <= failures) throw Object.assign(new Error(`attempt ${attempt}`), details);
      return `after ${attempt}`;
    };
  };

  test('with full jitter, doubled and capped', async () => {
    const clock = new ManualClock();
    const graph = new TaskGraph({ clock }).add('a', {
      run: flaky(4),
      retry: { attempts: 5, baseMs: 100, capMs: 300, random: () => 0.5 },
    });
    const events = await play(clock, graph.run());
    expect(words(events)).toEqual([
      'started a',
      ...Array(4).fill(['retry a', 'started a']).flat(),
      'complete a',
    ]);
    const retries = events.filter(({ type }) => type === 'retry');
    // Half of 100, 200, min(300, 400), min(300, 800).
    expect(retries.map(({ delayMs }) => delayMs)).toEqual([50, 100, 150, 150]);
    expect(retries.map(({ attempt }) => attempt)).toEqual([2, 3, 4, 5]);
    expect(retries[1].error.message).toBe('attempt 2');
    expect(events.at(-1).value).toBe('after 5');
  });

  test('1,100 times, and no delay is longer than the cap', async () => {
    const clock = new ManualClock();
    const graph = new TaskGraph({ clock }).add('a', {
      run: flaky(1100),
      retry: { attempts: 1101, baseMs: 5, capMs: 40 },
    });
    const events = await play(clock, graph.run(), 50, 5000);
    const delays = events.filter(({ type }) => type === 'retry').map(({ delayMs }) => delayMs);
    expect(delays).toHaveLength(1100);
    expect(Math.max(...delays)).toBeLessThanOrEqual(40);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
    expect(events.at(-1)).toEqual({ type: 'complete', id: 'a', value: 'after 1101' });
  });

  test('no sooner than the server’s retryAfterMs', async () => {
    const clock = new ManualClock();
    const graph = new TaskGraph({ clock }).add('a', {
      run: flaky(1, { retryAfterMs: 700 }),
      retry: { attempts: 2, baseMs: 10 },
    });
    const events = await play(clock, graph.run(), 100);
    expect(events[1]).toMatchObject({ type: 'retry', delayMs: 700 });
    expect(events.at(-1)).toMatchObject({ type: 'complete' });
  });

  test('not for an error that forbids it', async () => {
    const graph = new TaskGraph().add('a', {
      run: flaky(1, { retryable: false }),
      retry: { attempts: 5, baseMs: 1 },
    });
    expect(words(await collect(graph.run()))).toEqual(['started a', 'failed a']);
  });

  test('and hold no place while they wait', async () => {
    const clock = new ManualClock();
    const graph = new TaskGraph({ clock })
      .add('flaky', { run: flaky(1), retry: { attempts: 2, baseMs: 100, random: () => 0.5 } })
      .add('other', value(1));
    const events = await play(clock, graph.run({ concurrency: 1 }));
    expect(words(events)).toEqual([
      'started flaky',
      'retry flaky',
      'started other',
      'complete other',
      'started flaky',
      'complete flaky',
    ]);
  });

  test('stop when `isRetryable` itself throws', async () => {
    const graph = new TaskGraph().add('a', {
      run: flaky(1),
      retry: {
        attempts: 3,
        isRetryable: () => {
          throw new Error('cannot tell');
        },
      },
    });
    const events = await collect(graph.run());
    expect(events.at(-1)).toMatchObject({ type: 'failed', error: { message: 'cannot tell' } });
  });
});

describe('TaskGraph time-outs', () => {
  test('fail the attempt, abort its signal, and may be retried', async () => {
    const clock = new ManualClock();
    const signals = [];
    const graph = new TaskGraph({ clock }).add('slow', {
      timeoutMs: 50,
      retry: { attempts: 2, baseMs: 10, random: () => 0.5 },
      run: ({ signal }) => {
        signals.push(signal);
        return new Promise(() => {});
      },
    });
    const events = await play(clock, graph.run());
    expect(words(events)).toEqual(['started slow', 'retry slow', 'started slow', 'failed slow']);
    expect(events.at(-1).error).toMatchObject({ code: 'ERR_TASK_TIMEOUT', node: 'slow' });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    expect(signals[1].reason).toBe(events.at(-1).error);
    // Two attempts of 50 ms, and 5 ms between them.
    expect(clock.nowMs()).toBeGreaterThanOrEqual(105);
  });

  test('count from the call of the task, not while it waits for a place', async () => {
    const clock = new ManualClock();
    const graph = new TaskGraph({ clock });
    const waits = (ms) => ({
      timeoutMs: 60,
      run: async ({ signal }) => {
        const endMs = clock.nowMs() + ms;
        while (clock.nowMs() < endMs && !signal.aborted) await settled();
        return ms;
      },
    });
    graph.add('a', waits(50)).add('b', waits(50)).add('c', waits(70));
    const events = await play(clock, graph.run({ concurrency: 1 }));
    expect(words(events).filter((word) => !word.startsWith('started'))).toEqual([
      'complete a',
      'complete b',
      'failed c',
    ]);
  });

  test('do not affect a task that is done in time, and its later output is ignored', async () => {
    const clock = new ManualClock();
    const late = deferred();
    const graph = new TaskGraph({ clock })
      .add('quick', { timeoutMs: 10, run: () => 1 })
      .add('late', { timeoutMs: 10, run: () => late.promise })
      .add('throws', {
        timeoutMs: 10,
        run: () => {
          throw new Error('at once');
        },
      });
    const events = await play(clock, graph.run());
    late.resolve('too late');
    await settled();
    clock.advanceMs(100);
    expect(words(events).slice(3).sort()).toEqual([
      'complete quick',
      'failed late',
      'failed throws',
    ]);
    expect(events.find(({ id, type }) => id === 'throws' && type === 'failed').error.message).toBe(
      'at once',
    );
  });
});

describe('TaskGraph.run with throwOnFailure', () => {
  const boom = new Error('boom');
  const failed = { run: () => Promise.reject(boom) };

  test('throws the error after its event, and cancels the rest', async () => {
    let aborted = false;
    const graph = new TaskGraph()
      .add('bad', failed)
      .add('hangs', {
        run: ({ signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => {
              aborted = true;
              reject(signal.reason);
            });
          }),
      })
      .add('after', { after: ['bad'], run: () => 1 })
      .add('never', { after: ['hangs'], run: () => 1 });
    const events = graph.run({ throwOnFailure: true });
    const seen = [];
    const loop = async () => {
      for await (const event of events) seen.push(event);
    };
    await expect(loop()).rejects.toBe(boom);
    expect(words(seen)).toEqual(['started bad', 'started hangs', 'failed bad']);
    expect(aborted).toBe(true);
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });

  test('waits for the last attempt, and tolerates tasks with onFailure continue', async () => {
    const clock = new ManualClock();
    const graph = new TaskGraph({ clock })
      .add('optional', { ...failed, onFailure: 'continue' })
      .add('after', { after: ['optional'], run: ({ inputs }) => inputs.optional ?? 'without' })
      .add('retried', {
        retry: { attempts: 2, baseMs: 1 },
        run: ({ attempt }) => (attempt === 1 ? Promise.reject(boom) : 'second'),
      });
    const events = await play(clock, graph.run({ throwOnFailure: true }));
    expect(events.filter(({ type }) => type === 'complete').map(({ value: v }) => v)).toEqual([
      'without',
      'second',
    ]);
  });
});
