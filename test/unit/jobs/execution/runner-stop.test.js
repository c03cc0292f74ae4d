/** Stop strings, cut from the text of a provider that ignores them. */
import { record, single, batched, logOf } from '../../../support/providers/job-runs.js';

describe('a provider that ignores stop:', () => {
  const words = (chunks, ending) =>
    async function* deaf() {
      yield* chunks;
      return ending?.();
    };
  const length = () => ({ reason: 'length' });
  const fails = () => {
    throw new Error('late');
  };

  test.each([
    ['within a chunk', ['one END two'], 'END', ['one '], 'stop'],
    ['across chunks', ['one E', 'N', 'D two'], ['END'], ['one '], 'stop'],
    ['at the start', ['END two'], 'END', [], 'stop'],
    ['the first of several', ['a b', 'c d'], ['d', 'bc'], ['a '], 'stop'],
    ['the first of two in a chunk', ['a d bc'], ['bc', 'd'], ['a '], 'stop'],
    ['a prefix with another continuation', ['a E', 'Nx', 'b'], 'END', ['a ', 'ENx', 'b'], 'stop'],
    ['a prefix within a prefix', ['aa', 'ab', 'c'], 'aab', ['a'], 'stop'],
    ['a prefix at the end', ['a E', 'N'], 'END', ['a ', 'EN'], 'stop'],
    ['a prefix at the end, of a length', ['a E'], 'END', ['a ', 'E'], 'length', length],
    ['a prefix before a failure', ['a E'], 'END', ['a ', 'E'], undefined, fails],
    ['halves of a character', ['a\ud83d', '\ude00b'], '\u{1f600}', ['a'], 'stop'],
    ['no stop string', ['a', 'b'], 'END', ['a', 'b'], 'stop'],
    ['an empty stop string', ['a', 'b'], '', ['a', 'b'], 'stop'],
  ])('%s', async (_, chunks, stop, tokens, reason, ending = undefined) => {
    const log = await logOf(words(chunks, ending), { stop });
    const { tokens: written, terminal } = log;
    expect(written).toEqual(tokens);
    expect(terminal.reason).toBe(reason);
  });

  test('its signal aborts', async () => {
    let returned = false;
    const log = await logOf(
      async function* endless() {
        try {
          for (;;) yield 'x';
        } finally {
          returned = true;
        }
      },
      { stop: 'xxx' },
    );
    expect(returned).toBe(true);
    expect(log).toMatchObject({ tokens: [], terminal: { reason: 'stop' } });
  });

  test('held text counts for max_tokens, and reaches the log', async () => {
    const { hub, runner } = single(words(['a', 'E', 'N', 'D']));
    const job = record({ stop: 'END', max_tokens: 3 });
    await runner.run([job]);
    expect(hub.job(job.handle)).toMatchObject({
      tokens: ['a', 'EN'],
      terminal: { reason: 'length' },
    });
    const last = record({ stop: 'END', max_tokens: 4 });
    await runner.run([last]);
    expect(hub.job(last.handle)).toMatchObject({ tokens: ['a'], terminal: { reason: 'stop' } });
  });

  test('a request of a batch ends by itself', async () => {
    const { hub, runner } = batched(async function* deaf(requests) {
      yield { index: 0, text: 'a.' };
      expect(requests.map(({ signal }) => signal.aborted)).toEqual([true, false]);
      yield { index: 1, text: 'a.' };
      yield { index: 1, end: {} };
    });
    const jobs = [record({ stop: '.' }), record()];
    await runner.run(jobs);
    expect(jobs.map(({ handle }) => hub.job(handle).tokens)).toEqual([['a'], ['a.']]);
    expect(hub.job(jobs[1].handle).terminal.type).toBe('complete');
  });
});
