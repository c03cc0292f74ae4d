/** TaskGraph: the class around the native run. The rules of the run are in the native tests. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ManualClock, SluiceError, TaskGraph } from '../../../../lib/index.js';
import { deferred, settled } from '../../../support/pipeline.js';
import { collect } from '../../../support/streams/collect.js';
import { until } from '../../../support/until.js';
import { words, value, failing, play } from '../../../support/task-graphs.js';

describe('TaskGraph runs', () => {
  test('each task with the values of its dependencies', async () => {
    const graph = new TaskGraph()
      .add('sum', {
        after: ['one', 'two'],
        run: ({ inputs, attempt }) => ({ total: inputs.one + inputs.two, inputs, attempt }),
      })
      .add('one', value(1))
      .add('two', value(2));
    const events = await collect(graph.run());
    expect(words(events).slice(0, 2)).toEqual(['started one', 'started two']);
    expect(words(events).slice(-2)).toEqual(['started sum', 'complete sum']);
    expect(events.at(-1).value).toEqual({ total: 3, inputs: { one: 1, two: 2 }, attempt: 1 });
  });

  test('the empty graph, which ends at once', async () => {
    expect(await collect(new TaskGraph().run())).toEqual([]);
  });

  test('no more at once than `concurrency`', async () => {
    let running = 0;
    let most = 0;
    const graph = new TaskGraph();
    for (let i = 0; i < 40; i++) {
      graph.add(`t${i}`, {
        run: async () => {
          most = Math.max(most, ++running);
          await settled();
          running -= 1;
        },
      });
    }
    const events = await collect(graph.run({ concurrency: 3 }));
    expect(events.filter(({ type }) => type === 'complete')).toHaveLength(40);
    expect(most).toBe(3);
  });

  test('as a new run each time', async () => {
    let calls = 0;
    const graph = new TaskGraph().add('a', { run: () => ++calls });
    const first = await collect(graph.run());
    graph.add('b', { after: ['a'], run: ({ inputs }) => inputs.a });
    const [second, third] = await Promise.all([collect(graph.run()), collect(graph.run())]);
    expect(words(first)).toEqual(['started a', 'complete a']);
    for (const events of [second, third]) {
      expect(words(events)).toEqual(['started a', 'complete a', 'started b', 'complete b']);
    }
    expect(second.at(-1).value + third.at(-1).value).toBe(5);
  });

  test('ids that are names of properties of every object', async () => {
    const graph = new TaskGraph()
      .add('__proto__', value('p'))
      .add('constructor', value('c'))
      .add('last', {
        after: ['__proto__', 'constructor'],
        run: ({ inputs }) => Object.entries(inputs),
      });
    const events = await collect(graph.run());
    expect(events.at(-1).value).toEqual([
      ['__proto__', 'p'],
      ['constructor', 'c'],
    ]);
  });

  test('a chain of 20,000 and fans of 10,000', async () => {
    const chain = new TaskGraph();
    for (let i = 0; i < 20_000; i++) {
      const after = i === 0 ? [] : [`${i - 1}`];
      chain.add(`${i}`, { after, run: ({ inputs }) => (inputs[after[0]] ?? 0) + 1 });
    }
    let last;
    for await (const event of chain.run()) last = event;
    expect(last).toEqual({ type: 'complete', id: '19999', value: 20_000 });

    const fan = new TaskGraph().add('first', value(1));
    const middle = Array.from({ length: 10_000 }, (_, i) => `m${i}`);
    for (const id of middle) fan.add(id, { after: ['first'], run: ({ inputs }) => inputs.first });
    fan.add('last', {
      after: middle,
      run: ({ inputs }) => Object.values(inputs).reduce((sum, one) => sum + one, 0),
    });
    for await (const event of fan.run({ concurrency: 100 })) last = event;
    expect(last).toEqual({ type: 'complete', id: 'last', value: 10_000 });
  });
});

describe('TaskGraph refuses before the first event', () => {
  const refusal = async (graph) => {
    const seen = [];
    try {
      for await (const event of graph.run()) seen.push(event);
    } catch (error) {
      expect(seen).toEqual([]);
      expect(error).toBeInstanceOf(SluiceError);
      return error;
    }
    throw new Error('it was not refused');
  };
  const untouched = () => {
    throw new Error('must not run');
  };

  test('a cycle, and lists it in the order of execution', async () => {
    const graph = new TaskGraph()
      .add('start', { run: untouched })
      .add('a', { after: ['start', 'c'], run: untouched })
      .add('b', { after: ['a'], run: untouched })
      .add('c', { after: ['b'], run: untouched });
    expect(await refusal(graph)).toMatchObject({
      code: 'ERR_GRAPH_CYCLE',
      path: ['a', 'b', 'c'],
      message: expect.stringContaining('"a" -> "b" -> "c" -> "a"'),
    });
  });

  test('a task that waits for itself', async () => {
    const graph = new TaskGraph().add('me', { after: ['me'], run: untouched });
    expect(await refusal(graph)).toMatchObject({ code: 'ERR_GRAPH_CYCLE', path: ['me'] });
  });

  test('a long cycle with a message of one line', async () => {
    const graph = new TaskGraph();
    for (let i = 0; i < 5000; i++) {
      graph.add(`${i}`, { after: [`${(i + 4999) % 5000}`], run: untouched });
    }
    const error = await refusal(graph);
    expect(error.path).toEqual(Array.from({ length: 5000 }, (_, i) => `${i}`));
    expect(error.message.length).toBeLessThan(300);
  });

  test('a task that was added twice', async () => {
    const graph = new TaskGraph().add('a', { run: untouched }).add('a', { run: untouched });
    expect(await refusal(graph)).toMatchObject({ code: 'ERR_GRAPH_DUPLICATE', node: 'a' });
  });

  test('an unknown dependency', async () => {
    const graph = new TaskGraph().add('a', { after: ['ghost'], run: untouched });
    const error = await refusal(graph);
    expect(error).toMatchObject({ code: 'ERR_GRAPH_UNKNOWN', node: 'a', dependency: 'ghost' });
    expect(error.message).toMatch(/"a".*"ghost"/);
  });
});

describe('TaskGraph cancelled', () => {
  /** A task that ends only with its signal. */
  const hanging = (signals) => ({
    run: ({ signal }) => {
      signals.push(signal);
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    },
  });

  test('by leaving the loop: running tasks are aborted, nothing else starts', async () => {
    const signals = [];
    let later = 0;
    const graph = new TaskGraph()
      .add('a', hanging(signals))
      .add('b', value(1))
      .add('c', { after: ['a'], run: () => (later += 1) });
    for await (const { type } of graph.run()) if (type === 'complete') break;
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    await settled();
    expect(later).toBe(0);
  });

  test('by the signal: a pending next() throws its reason at once', async () => {
    const signals = [];
    const controller = new AbortController();
    const events = new TaskGraph()
      .add('a', hanging(signals))
      // Deaf to its signal.
      .add('b', { run: () => new Promise(() => {}) })
      .run({ signal: controller.signal });
    await events.next();
    await events.next();
    const pending = events.next();
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(pending).rejects.toBe(reason);
    expect(signals[0].reason).toBe(reason);
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });

  test('while a task waits for its next attempt', async () => {
    const clock = new ManualClock();
    const controller = new AbortController();
    const events = new TaskGraph({ clock })
      .add('a', { ...failing(), retry: { attempts: 2, baseMs: 60_000, capMs: 60_000 } })
      .run({ signal: controller.signal });
    await events.next();
    expect((await events.next()).value.type).toBe('retry');
    const pending = events.next();
    controller.abort();
    await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
    clock.advanceMs(120_000);
  });

  test('before it began: nothing is called', async () => {
    let calls = 0;
    const graph = new TaskGraph().add('a', { run: () => (calls += 1) });
    const events = graph.run({ signal: AbortSignal.abort() });
    await expect(events.next()).rejects.toMatchObject({ name: 'AbortError' });
    const unread = graph.run();
    await unread.return();
    expect(await unread.next()).toEqual({ done: true, value: undefined });
    expect(calls).toBe(0);
  });

  test('later output of a task is ignored', async () => {
    const late = deferred();
    const events = new TaskGraph().add('a', { run: () => late.promise }).run();
    await events.next();
    await events.return();
    late.reject(new Error('too late'));
    await settled();
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });
});

describe('TaskGraph and a slow consumer', () => {
  test('starts nothing while too much is unread, and loses nothing', async () => {
    let calls = 0;
    const graph = new TaskGraph();
    for (let i = 0; i < 3000; i++) graph.add(`${i}`, { run: () => (calls += 1) });
    const events = graph.run({ concurrency: 4 });
    let read = 0;
    await events.next();
    read += 1;
    await until(() => calls > 400, 'the tasks for which there is room');
    for (let i = 0; i < 100; i++) await new Promise((resolve) => setTimeout(resolve, 1));
    // Two events a task, 1024 of them unread, four tasks at once.
    expect(calls).toBeLessThanOrEqual(520);
    for await (const event of events) read += event === undefined ? 0 : 1;
    expect(calls).toBe(3000);
    expect(read).toBe(6000);
  });
});

describe('TaskGraph arguments', () => {
  const { run } = value(1);
  test.each([
    ['id takes a string', () => new TaskGraph().add(7, { run })],
    ['id takes a string that is not empty', () => new TaskGraph().add('', { run })],
    ['id holds half of a surrogate pair', () => new TaskGraph().add('\ud800', { run })],
    ['run takes a function', () => new TaskGraph().add('a', {})],
    ['after takes an array', () => new TaskGraph().add('a', { run, after: 'b' })],
    ['after[1] takes a string', () => new TaskGraph().add('a', { run, after: ['b', 1] })],
    ['retry.attempts takes', () => new TaskGraph().add('a', { run, retry: { attempts: 0 } })],
    ['onFailure takes one of', () => new TaskGraph().add('a', { run, onFailure: 'stop' })],
    ['clock takes a ManualClock', () => new TaskGraph({ clock: {} })],
    ['concurrency takes an integer', () => new TaskGraph().run({ concurrency: 0 })],
    ['signal takes an AbortSignal', () => new TaskGraph().run({ signal: true })],
  ])('%s', (message, call) => {
    expect(call).toThrow(message);
    expect(call).toThrow(SluiceError);
  });
});

describe('TaskGraph values', () => {
  const gc = collector();

  /** Forces a full collection, in jest's own environment too. */
  function collector() {
    setFlagsFromString('--expose-gc');
    return runInNewContext('gc');
  }

  test('are dropped once the tasks that need them are done, while the run continues', async () => {
    const values = [];
    const graph = new TaskGraph();
    const length = 20;
    for (let i = 0; i < length; i++) {
      const after = i === 0 ? [] : [`${i - 1}`];
      graph.add(`${i}`, {
        after,
        run: () => {
          const made = { i };
          values.push(new WeakRef(made));
          return made;
        },
      });
    }
    // Depends on the first to the end, so that this one is kept; nothing depends on `idle`.
    graph.add('last', { after: ['0', `${length - 1}`], run: ({ inputs }) => inputs['0'].i });
    graph.add('idle', { run: () => undefined });
    const events = graph.run({ concurrency: 2 });
    let alive;
    let lastValue;
    for await (const { type, id, value: given } of events) {
      if (type === 'started' && id === 'last') {
        await settled();
        gc();
        alive = values.filter((ref) => ref.deref() !== undefined).length;
      }
      if (type === 'complete' && id === 'last') lastValue = given;
    }
    expect(lastValue).toBe(0);
    expect(alive).toBeLessThanOrEqual(4);
  });

  test('reach a retried task again, and tasks after a skipped one', async () => {
    const clock = new ManualClock();
    const graph = new TaskGraph({ clock })
      .add('source', { run: () => 'value' })
      .add('bad', { after: ['source'], ...failing() })
      .add('skipped', { after: ['bad', 'source'], run: () => 1 })
      .add('retried', {
        after: ['source'],
        retry: { attempts: 3, baseMs: 5 },
        run: ({ inputs, attempt }) =>
          attempt < 3 ? Promise.reject(new Error('again')) : `${inputs.source} ${attempt}`,
      });
    const events = await play(clock, graph.run());
    expect(events.at(-1)).toEqual({ type: 'complete', id: 'retried', value: 'value 3' });
  });
});

describe('TaskGraph options', () => {
  test('retryAfterMs of Infinity means no further attempt', async () => {
    const never = Object.assign(new Error('never'), { retryAfterMs: Infinity });
    const graph = new TaskGraph().add('a', {
      retry: { attempts: 5 },
      run: () => Promise.reject(never),
    });
    const events = await collect(graph.run());
    expect(words(events)).toEqual(['started a', 'failed a']);
    expect(events[1].error).toBe(never);
  });

  test('onEvent sees each event as it happens, `started` before the task', async () => {
    const log = [];
    const graph = new TaskGraph().add('a', { run: () => log.push('called') });
    const events = await collect(graph.run({ onEvent: ({ type }) => log.push(type) }));
    expect(log).toEqual(['started', 'called', 'complete']);
    expect(words(events)).toEqual(['started a', 'complete a']);
  });

  test.each([
    ['options has no option dependsOn', (g) => g.add('b', { run: () => 1, dependsOn: ['a'] })],
    ['options has no option timeout', (g) => g.add('b', { run: () => 1, timeout: 5 })],
    ['retry has no option times', (g) => g.add('b', { run: () => 1, retry: { times: 5 } })],
    ['options has no option limit', (g) => g.run({ limit: 5 })],
    ['options has no option time', () => new TaskGraph({ time: 5 })],
    ['timeoutMs takes', (g) => g.add('b', { run: () => 1, timeoutMs: -1 })],
    ['throwOnFailure takes', (g) => g.run({ throwOnFailure: 'yes' })],
    ['onEvent takes a function', (g) => g.run({ onEvent: 5 })],
  ])('%s', (message, call) => {
    expect(() => call(new TaskGraph())).toThrow(message);
    expect(() => call(new TaskGraph())).toThrow(SluiceError);
  });
});
