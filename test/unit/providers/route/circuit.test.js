/** Circuits of upstreams. Times are milliseconds. */
import { Circuit } from '../../../../lib/providers/route/circuit.js';
import { ManualClock } from '../../../../lib/index.js';

let clock;
let circuit;
beforeEach(() => {
  clock = new ManualClock();
  circuit = new Circuit(() => clock.nowMs());
});

const counted = { counts: true };
/** An ordinary call, or the trial call, from its start to its failure. */
function fail(failure = counted) {
  expect(circuit.waitMs).toBe(0);
  const isTrial = circuit.needsTrial;
  circuit.enter();
  circuit.onFailure(isTrial, failure);
}
function answer() {
  expect(circuit.waitMs).toBe(0);
  const isTrial = circuit.needsTrial;
  circuit.enter();
  circuit.onSuccess(isTrial);
}

test('three failures in a row open it for 30 s, then for twice as long, up to 5 min', () => {
  fail();
  fail();
  expect([circuit.isOpen, circuit.waitMs]).toEqual([false, 0]);
  fail();
  for (const seconds of [30, 60, 120, 240, 300, 300]) {
    expect([circuit.isOpen, circuit.waitMs]).toEqual([true, seconds * 1000]);
    clock.advanceMs(seconds * 1000 - 1);
    expect(circuit.waitMs).toBe(1);
    clock.advanceMs(1);
    expect([circuit.isOpen, circuit.needsTrial, circuit.waitMs]).toEqual([true, true, 0]);
    fail();
  }
});

test('an answer between failures resets the count', () => {
  for (let round = 0; round < 3; round += 1) {
    fail();
    fail();
    answer();
  }
  expect(circuit.waitMs).toBe(0);
});

test('one trial call at a time; its answer closes the circuit', () => {
  for (let i = 0; i < 3; i += 1) fail();
  clock.advanceMs(30_000);
  circuit.enter();
  expect(circuit.waitMs).toBe(1000);
  circuit.onSuccess(true);
  expect([circuit.isOpen, circuit.waitMs]).toEqual([false, 0]);
  for (let i = 0; i < 3; i += 1) fail();
  expect(circuit.waitMs).toBe(30_000);
});

test('a cancelled trial call permits the next one', () => {
  for (let i = 0; i < 3; i += 1) fail();
  clock.advanceMs(30_000);
  circuit.enter();
  circuit.onAbandoned(true);
  expect([circuit.needsTrial, circuit.waitMs]).toEqual([true, 0]);
});

test('calls started before it opened change nothing', () => {
  for (let i = 0; i < 3; i += 1) fail();
  for (let i = 0; i < 5; i += 1) circuit.onFailure(false, counted);
  circuit.onSuccess(false);
  expect(circuit.waitMs).toBe(30_000);
});

test('Retry-After opens it for that long, without a trial call', () => {
  fail({ counts: false, retryAfterMs: 1500 });
  circuit.onFailure(false, { counts: false, retryAfterMs: 500 });
  expect([circuit.isOpen, circuit.waitMs]).toEqual([true, 1500]);
  clock.advanceMs(1500);
  expect([circuit.isOpen, circuit.needsTrial, circuit.waitMs]).toEqual([false, false, 0]);
});

test('rate limits with a time are no failures in a row', () => {
  for (let i = 0; i < 5; i += 1) {
    fail({ counts: false, retryAfterMs: 10 });
    clock.advanceMs(10);
  }
  expect(circuit.waitMs).toBe(0);
});
