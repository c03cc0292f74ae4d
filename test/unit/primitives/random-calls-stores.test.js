/** The stores under calls with any arguments: no strange error, no lost promise, nothing lost or made. */
import { KvStore, Ledger, LogParser, ManualClock } from '../../../lib/index.js';
import { randomRounds } from '../../support/random-calls.js';

const CALLS = 60;

const OPTIONS = {
  KvStore: [KvStore, ['maxKeys', 'maxKeyBytes', 'maxValueBytes', 'maxBytes', 'clock']],
  Ledger: [Ledger, ['clock']],
  LogParser: [
    LogParser,
    ['formats', 'start', 'continuation', 'flushMs', 'maxLines', 'maxBytes', 'maxSources', 'clock'],
  ],
};

test.each(Object.entries(OPTIONS))('new %s(anything)', async (name, [Class, options]) => {
  await randomRounds((choose, calls) => {
    for (let i = 0; i < CALLS; i += 1) {
      calls.make(`new ${name}`, () => new Class(choose.anything(options)));
    }
  });
});

/** The writes of a store, and of a transaction. */
const WRITES = {
  set: ({ key, value, anything }) => [
    key(),
    value(),
    anything(['ttlMs', 'keepTtl', 'ifVersion', 'ifAbsent']),
  ],
  increment: ({ key, anything }) => [key(), anything(), anything(['ttlMs', 'ifVersion'])],
  touch: ({ key, anything }) => [key(), anything(['ttlMs', 'ifVersion'])],
  delete: ({ key, anything }) => [key(), anything(['ifVersion'])],
  compareAndSet: ({ key, value, anything }) => [key(), anything(), value(), anything(['ttlMs'])],
};
const READS = {
  get: ({ key }) => [key()],
  scan: ({ anything }) => [
    anything(['prefix', 'start', 'end', 'after', 'limit', 'reverse', 'keysOnly', 'maxBytes']),
  ],
};

test('KvStore keeps its bounds, and a snapshot its content', async () => {
  await randomRounds(async (choose, calls) => {
    const clock = new ManualClock();
    const store = new KvStore({ maxKeys: 5, maxBytes: 400, clock });
    const given = {
      key: () => choose.oneOf(['a', 'b', 'c', 'd', 'e', 'f', 'g', choose.anything()]),
      value: () => choose.oneOf([1, 'text', { deep: [1] }, choose.anything()]),
      anything: (names) => choose.oneOf([undefined, choose.anything(names)]),
    };
    const call = (target, table) => {
      const name = choose.oneOf(Object.keys(table).filter((each) => each in target));
      return calls.make(name, () => target[name](...table[name](given)));
    };
    const watch = store.watch({ prefix: '' });
    calls.make('watch', () => store.watch(choose.anything(['prefix', 'capacity', 'signal'])));
    for (let i = 0; i < CALLS; i += 1) {
      switch (choose.below(6)) {
        case 0:
          clock.advanceMs(choose.random() * 1000);
          break;
        case 1: {
          const snapshot = store.snapshot();
          const before = JSON.stringify(snapshot.scan());
          call(store, WRITES);
          call(snapshot, READS);
          expect(JSON.stringify(snapshot.scan())).toBe(before);
          snapshot.release();
          calls.make('get of a released snapshot', () => snapshot.get('a'));
          break;
        }
        case 2:
          calls.make('transaction', () =>
            store.transaction(
              (tx) => {
                call(tx, READS);
                call(tx, WRITES);
                if (choose.random() < 0.2) throw new Error('left');
                return call(tx, WRITES);
              },
              given.anything(['retries']),
            ),
          );
          break;
        case 3:
          call(store, READS);
          break;
        default:
          call(store, WRITES);
      }
      expect(store.size).toBeLessThanOrEqual(5);
    }
    // A manual clock ends waits for expiring entries.
    clock.advanceMs(1e6);
    await watch.return();
    expect(store.stats().snapshots).toBe(0);
  });
});

test('Ledger: the sum of all accounts is zero, and the journal restores it', async () => {
  await randomRounds((choose, calls) => {
    const clock = new ManualClock();
    const ledger = new Ledger({ clock });
    for (const account of ['ann', 'bob', 'cat']) ledger.open({ account });
    let keys = 0;
    const account = () => choose.oneOf(['ann', 'bob', 'cat', choose.anything()]);
    const amount = () => choose.oneOf([1n, 10n, 1000n, choose.anything()]);
    const key = () => choose.oneOf([`key ${(keys += 1)}`, `key ${keys}`, choose.anything()]);
    const event = () => choose.oneOf([choose.below(20), choose.anything()]);
    const pair = () => ({ from: account(), to: account(), amount: amount() });
    const REQUESTS = {
      open: () => ({ account: account(), overdraft: choose.anything() }),
      deposit: () => ({ key: key(), account: account(), amount: amount() }),
      withdraw: () => ({ key: key(), account: account(), amount: amount() }),
      transfer: () => ({ key: key(), ...pair() }),
      linked: () => ({ key: key(), transfers: [pair(), choose.oneOf([pair(), undefined])] }),
      close: () => ({ key: key(), account: account() }),
      hold: () => ({ key: key(), account: account(), amount: amount(), timeoutMs: 500 }),
      settle: () => ({ key: key(), hold: event(), amount: amount() }),
      void: () => ({ key: key(), hold: event() }),
      reverse: () => ({ key: key(), event: event(), force: choose.anything() }),
      schedule: () => ({ key: key(), atMs: choose.below(2000), ...pair() }),
      cancelScheduled: () => ({ key: key(), scheduled: event() }),
      events: () => choose.anything(['account', 'after', 'limit']),
    };
    for (let i = 0; i < CALLS; i += 1) {
      if (choose.random() < 0.2) clock.advanceMs(choose.random() * 500);
      calls.make('balance', () => ledger.balance(account()));
      const name = choose.oneOf(Object.keys(REQUESTS));
      calls.make(name, () => ledger[name](REQUESTS[name]()));
      calls.make(name, () => ledger[name](choose.anything(['key', 'account', 'amount', 'from'])));
    }
    const totals = (of) => of.accounts().map((name) => [name, of.balance(name)]);
    const whole = totals(ledger);
    expect(whole.reduce((sum, [, { posted }]) => sum + posted, 0n)).toBe(0n);
    expect(totals(Ledger.replay(ledger.journal(), { clock }))).toEqual(whole);
  });
});

test('LogParser returns every accepted line once', async () => {
  await randomRounds((choose, calls) => {
    const clock = new ManualClock();
    const parser = new LogParser({ clock, maxSources: 3 });
    const chunk = () =>
      choose.oneOf([
        '2024-05-01T10:00:00Z ERROR broken\n',
        '  at f (x.js:1:2)\n',
        Buffer.from([0xff, 0xfe, 0x41, 0x00, 0x0a]),
        'half a li',
        'ne\n{"level":"info","msg":"x"}\n',
        choose.anything(),
      ]);
    const options = () =>
      choose.oneOf([
        undefined,
        { source: choose.oneOf(['a', 'b', 'c', 'd']) },
        choose.anything(['source']),
      ]);
    const lines = [];
    const take = (events) => lines.push(...(events ?? []).flatMap((each) => each.lines));
    for (let i = 0; i < CALLS; i += 1) {
      if (choose.random() < 0.2) clock.advanceMs(choose.random() * 2000);
      calls.make('nextFlushMs', () => parser.nextFlushMs());
      calls.make('stats', () => parser.stats(options()));
      calls.make('topErrors', () => parser.topErrors(choose.anything(['k', 'windowMs', 'nowMs'])));
      const call = choose.oneOf(['push', 'push', 'push', 'flush', 'end']);
      if (call === 'push') take(calls.make('push', () => parser.push(chunk(), options())));
      if (call === 'flush') take(calls.make('flush', () => parser.flush()));
      if (call === 'end') take(calls.make('end', () => parser.end(options())));
    }
    take(parser.end());
    const { lines: counted } = parser.stats();
    // Blank lines are in no event.
    expect(lines.length).toBeLessThanOrEqual(counted);
    expect(lines.every((line) => typeof line === 'string' && line.isWellFormed())).toBe(true);
  });
});
