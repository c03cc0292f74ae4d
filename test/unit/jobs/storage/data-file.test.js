import { ManualClock } from '../../../../lib/index.js';
import { JobStore } from '../../../../lib/jobs/storage/job-store.js';
import { SqliteStore } from '../../../../lib/jobs/storage/sqlite.js';
import { manualReactor, sharedReactor } from '../../../../lib/internal/native/reactor.js';
import { afterCrash, dataFile } from '../../../support/files/data-file.js';
import { cleanUp, stopAll } from '../../../support/gateway/gateway.js';

afterEach(stopAll);

/** A data file, opened as a gateway does. */
function storeOf(data, clock) {
  const reactor = clock === undefined ? sharedReactor() : manualReactor(clock);
  const store = new JobStore(data, { reactor, keyTtlMs: 1000, retentionMs: 1000, clock });
  cleanUp(() => store.close());
  return store;
}

/** The closed store of a ledger with an account `a`, which holds 4 of 10 units for a second. */
async function closedWithHold(data, clock) {
  const store = storeOf(data, clock);
  const { ledger } = store.file;
  ledger.open({ account: 'a' });
  ledger.deposit({ key: 'd', account: 'a', amount: 10n });
  ledger.hold({ key: 'h', account: 'a', amount: 4n, timeoutMs: 1000 });
  await store.close();
}

const day = 24 * 3600 * 1000;

test('every synced event survives a crash, and keys repeat their answers', async () => {
  const data = dataFile();
  const first = storeOf(data);
  const ledger = first.file.ledger;
  ledger.open({ account: 'a' });
  ledger.open({ account: 'b', overdraft: Infinity });
  ledger.deposit({ key: 'k1', account: 'a', amount: 2n ** 60n + 1n });
  const { hold } = ledger.hold({ key: 'k2', account: 'a', amount: 5n, timeoutMs: day });
  const moved = ledger.transfer({ key: 'k3', from: 'b', to: 'a', amount: 9n });
  const tooMuch = { key: 'k4', account: 'a', amount: 2n ** 61n };
  expect(() => ledger.withdraw(tooMuch)).toThrow(/not enough/);
  await first.file.synced();

  const second = storeOf(afterCrash(data));
  const again = second.file.ledger;
  expect(again.journal()).toEqual(ledger.journal());
  expect(again.balance('a')).toEqual({ ...moved.balance, ...ledger.balance('a') });
  expect(again.transfer({ key: 'k3', from: 'b', to: 'a', amount: 9n })).toEqual(moved);
  expect(() => again.withdraw(tooMuch)).toThrow(/not enough/);
  const { event } = again.settle({ key: 'k5', hold, amount: 1n });
  expect(event.id).toBe(7);
  await second.file.synced();
});

test('its time continues from that of the last event when the clock was set back', async () => {
  const data = dataFile();
  const clock = new ManualClock();
  clock.advanceMs(5 * day);
  await closedWithHold(data, clock);

  // A clock that starts at 0: five days behind.
  const later = new ManualClock();
  const second = storeOf(data, later);
  const again = second.file.ledger;
  expect(again.balance('a').held).toBe(4n);
  later.advanceMs(999);
  expect(again.balance('a').held).toBe(4n);
  later.advanceMs(1);
  expect(again.balance('a').held).toBe(0n);
  const { type, atMs } = again.journal().at(-1);
  expect([type, atMs]).toEqual(['hold_expired', 5 * day + 1000]);
  await second.close();
  const third = storeOf(data).file.ledger;
  expect(third.journal()).toEqual(again.journal());
});

test('transfers that fell due while the file was closed execute when it is opened, and are written', async () => {
  const data = dataFile();
  await closedWithHold(data, new ManualClock());
  const later = new ManualClock();
  later.advanceMs(day);
  const second = storeOf(data, later);
  const again = second.file.ledger;
  later.advanceMs(0);
  expect(again.balance('a').available).toBe(10n);
  await second.close();
  expect(storeOf(data).file.ledger.journal()).toEqual(again.journal());
});

test('an impossible event is reported, and the file is not changed', async () => {
  const data = dataFile();
  const raw = new SqliteStore(data);
  raw.start(sharedReactor());
  const never = 2n ** 63n - 1n;
  const row = (id) => [id, 0, 1, '', `account-${id}`, '', 0, 0, 0, 0, never, 0, 0, 0, ''];
  await raw.commit(['add_event', row(1), 'add_event', row(3)]);
  await raw.close();
  expect(() => storeOf(data)).toThrow(
    expect.objectContaining({
      code: 'ERR_DATA_CORRUPT',
      message: expect.stringMatching(/data\.db is damaged.*\(event 3 of its ledger cannot be: /),
    }),
  );
  // Nobody has it now.
  new SqliteStore(data).release();
});
