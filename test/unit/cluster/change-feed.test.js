/** Messages about changes of a store, as another program may forge them. */
import { ChangeFeed } from '../../../lib/cluster/kv/change-feed.js';
import { until } from '../../support/until.js';

/** Fields as the scripts write them into a message. */
const messageOf = (...fields) =>
  Buffer.from(fields.map((field) => `${Buffer.byteLength(field)}:${field}`).join(''));
/** A change of the key `k`: a number, as JSON. */
const change = (number, data = '1', kind = '0') =>
  messageOf(String(number), 'born', '', '0', '1', 'k', data, kind, '');

async function open() {
  const feed = { published: [], lost: [] };
  let on;
  const changes = new ChangeFeed({
    channel: 'c',
    subscribe: (_channel, listeners) => {
      on = listeners;
      return { close() {} };
    },
    readPosition: async () => ({ position: 0, born: 'born' }),
    publish(flat) {
      if (flat.some(Number.isNaN)) throw new TypeError('a number is expected');
      feed.published.push(flat);
    },
    onLost: ({ code }) => feed.lost.push(code),
  });
  changes.watch(true);
  on.onReady();
  await until(() => changes.ready === undefined, 'the first look');
  return { ...feed, tell: (message) => on.onMessage(message) };
}

test('a change is passed on, once, in its turn', async () => {
  const { published, lost, tell } = await open();
  tell(change(1));
  tell(change(1));
  expect([published.length, lost]).toEqual([1, []]);
  tell(change(3));
  expect([published.length, lost]).toEqual([1, ['ERR_WATCH_OVERFLOW']]);
});

test.each([
  ['text', Buffer.from('hello')],
  ['nothing', Buffer.alloc(0)],
  ['a negative length', Buffer.from('-5:hello')],
  ['a length beyond its end', Buffer.from('500:hello')],
  ['no number', messageOf('x', 'born')],
])('%s is no message', async (_name, message) => {
  const { published, lost, tell } = await open();
  tell(message);
  tell(change(1));
  expect([published.length, lost]).toEqual([1, []]);
});

test('a change that the watches refuse counts as missed', async () => {
  const { published, lost, tell } = await open();
  tell(change(1, '1', 'no kind'));
  expect([published, lost]).toEqual([[], ['ERR_WATCH_OVERFLOW']]);
  tell(change(2));
  expect(published).toHaveLength(1);
});
