/** The wait for other processes, without a server: requests and answers. */
import { Barrier } from '../../../lib/cluster/barrier.js';
import { redisUnavailable } from '../../../lib/jobs/errors.js';
import { until } from '../../support/until.js';

/** Barriers of processes that hear each other; `silent` ones are members and do not answer. */
function processes(names, { silent = [] } = {}) {
  const barriers = new Map();
  const read = [];
  const command = async (verb, channel, payload) => {
    if (verb === 'HKEYS') return [...names, ...silent];
    for (const [name, barrier] of barriers) {
      if (channel === 'all') barrier.onAll(payload);
      if (channel === `p:${name}`) barrier.onOwn(payload);
    }
    return barriers.size;
  };
  for (const name of names) {
    const readMessages = async () => read.push(name);
    barriers.set(name, new Barrier({ redis: { command }, identity: { name }, readMessages }));
  }
  return { barriers, read };
}

test('ends when every other process has read its messages', async () => {
  const { barriers, read } = processes(['a', 'b', 'c']);
  await Promise.all([barriers.get('a').pass(), barriers.get('b').pass()]);
  expect(read.sort()).toEqual(['a', 'b', 'c', 'c']);
});

test('waits for a process without an answer, and counts no answer twice', async () => {
  const { barriers, read } = processes(['a', 'b'], { silent: ['z'] });
  const barrier = barriers.get('a');
  let isOver = false;
  const passing = barrier.pass().then(() => (isOver = true));
  await until(() => read.length === 1, 'the answer of b');
  for (const other of ['answer b x', 'answer y x', 'answer', 'answer z']) barrier.onOwn(other);
  expect(isOver).toBe(false);
  await passing;
});

test('is over at once without other processes, and while Redis is away', async () => {
  const { barriers } = processes(['a']);
  await barriers.get('a').pass();
  const away = async () => {
    throw redisUnavailable();
  };
  const identity = { name: 'a' };
  await new Barrier({ redis: { command: away }, identity, readMessages: away }).pass();
});

test('distinguishes its own messages from others', () => {
  const { barriers } = processes(['a']);
  const barrier = barriers.get('a');
  expect([barrier.onAll('open job_1'), barrier.onOwn('ctl')]).toEqual([false, false]);
  expect([barrier.onAll('ask a x'), barrier.onOwn('answer b x')]).toEqual([true, true]);
});
