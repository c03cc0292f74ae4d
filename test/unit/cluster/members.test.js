/** Who is dead, as an observer sees it; a world of processes and a Redis, with time by hand. */
import { Members } from '../../../lib/cluster/members.js';

const LEASE = 10_000;
const INTERVAL = LEASE / 5;

/**
 * Processes that beat in a Redis that may be frozen. A frozen Redis answers all beats at its thaw, in the
 * order in which they were sent.
 */
class World {
  nowMs = 0;
  frozen = false;
  /** Beats in Redis. */
  #beats = new Map();
  /** @type {{name: string, sentMs: number}[]} */
  #unanswered = [];
  #nodes = new Map();

  join(name) {
    this.#beats.set(name, 1);
    const members = new Members({ leaseMs: LEASE });
    this.#nodes.set(name, { members, nextMs: this.nowMs, asleep: false, offsetMs: 0 });
  }

  sleep = (name, asleep = true) => (this.#nodes.get(name).asleep = asleep);
  die = (name) => this.#nodes.delete(name);
  /** Redis loses the name: a burial. */
  forget = (name) => this.#beats.delete(name);
  beatOf = (name) => String(this.#beats.get(name));

  /** Moves time on in steps of 100 ms. @returns {string[]} `observer: dead` of each judgement */
  pass(ms) {
    const verdicts = [];
    for (const endMs = this.nowMs + ms; this.nowMs < endMs;) {
      this.nowMs += 100;
      for (const [name, node] of this.#nodes) {
        if (node.asleep || this.nowMs < node.nextMs) continue;
        node.nextMs = this.nowMs + INTERVAL;
        this.#unanswered.push({ name, sentMs: this.nowMs });
      }
      if (!this.frozen) this.#answer();
      for (const [name, { members, asleep }] of this.#nodes) {
        if (asleep) continue;
        for (const dead of members.dead(this.nowMs)) {
          // Redis compares the beat once more.
          if (this.frozen || this.beatOf(dead.name) !== dead.beat) continue;
          verdicts.push(`${name}: ${dead.name}`);
        }
      }
    }
    return [...new Set(verdicts)];
  }

  #answer() {
    for (const { name, sentMs } of this.#unanswered.splice(0)) {
      if (this.#beats.has(name)) this.#beats.set(name, this.#beats.get(name) + 1);
      const node = this.#nodes.get(name);
      if (node === undefined || node.asleep) continue;
      const beats = [...this.#beats].map(([other, beat]) => [other, String(beat)]);
      node.members.observe({ self: name, beats, sentMs, answeredMs: this.nowMs });
    }
  }
}

let world;

beforeEach(() => {
  world = new World();
  for (const name of ['a', 'b', 'c']) world.join(name);
  expect(world.pass(3 * LEASE)).toEqual([]);
});

test('a process without beats is dead after a lease, and not before', () => {
  world.die('c');
  expect(world.pass(LEASE - INTERVAL)).toEqual([]);
  expect(world.pass(2 * INTERVAL).sort()).toEqual(['a: c', 'b: c']);
});

test('a process that beats again in time lives', () => {
  world.sleep('c');
  expect(world.pass(LEASE - INTERVAL)).toEqual([]);
  world.sleep('c', false);
  expect(world.pass(2 * LEASE)).toEqual([]);
});

test.each([1500, LEASE, 3 * LEASE, 20 * LEASE])(
  'a Redis that is frozen for %d ms kills nobody',
  (ms) => {
    world.frozen = true;
    expect(world.pass(ms)).toEqual([]);
    world.frozen = false;
    expect(world.pass(2 * LEASE)).toEqual([]);
  },
);

test('a process that died while Redis was frozen is dead a lease after the thaw', () => {
  world.frozen = true;
  world.die('c');
  world.pass(3 * LEASE);
  world.frozen = false;
  expect(world.pass(LEASE - INTERVAL)).toEqual([]);
  expect(world.pass(2 * INTERVAL).sort()).toEqual(['a: c', 'b: c']);
});

test('an observer that was suspended declares no process dead, and restarts its count', () => {
  world.sleep('a');
  world.die('c');
  expect(world.pass(3 * LEASE)).toEqual(expect.arrayContaining(['b: c']));
  world.sleep('a', false);
  // It slept for three leases, so it has observed c for less than a lease.
  const verdicts = world.pass(LEASE - INTERVAL);
  expect(verdicts.filter((verdict) => verdict.startsWith('a'))).toEqual([]);
  expect(world.pass(2 * INTERVAL)).toContain('a: c');
});

test('a process without answers to its own beats declares no process dead', () => {
  world.die('c');
  world.pass(INTERVAL);
  world.frozen = true;
  expect(world.pass(2 * LEASE)).toEqual([]);
});

test('a new observer waits for a full lease', () => {
  world.die('a');
  world.die('b');
  world.die('c');
  world.pass(5 * LEASE);
  world.join('d');
  expect(world.pass(LEASE - INTERVAL)).toEqual([]);
  expect(world.pass(2 * INTERVAL).sort()).toEqual(['d: a', 'd: b', 'd: c']);
});

test('a process that took over and died is dead like any other', () => {
  world.die('c');
  world.pass(LEASE + INTERVAL);
  world.forget('c');
  world.die('b');
  expect(world.pass(LEASE + INTERVAL)).toEqual(['a: b']);
});

test('a jump of the clock forward counts as a sleep', () => {
  const members = new Members({ leaseMs: LEASE });
  const observe = (atMs, beat) =>
    members.observe({ self: 'a', beats: [['b', beat]], sentMs: atMs, answeredMs: atMs + 1 });
  observe(0, '1');
  observe(INTERVAL, '1');
  observe(INTERVAL + 10 * LEASE, '1');
  expect(members.dead(INTERVAL + 10 * LEASE + 1)).toEqual([]);
  expect(members.dueMs).toBe(INTERVAL + 11 * LEASE + 1);
});

test('a slow answer counts from its end', () => {
  const members = new Members({ leaseMs: LEASE });
  members.observe({ self: 'a', beats: [['b', '1']], sentMs: 0, answeredMs: 900 });
  expect(members.dueMs).toBe(LEASE + 900);
  expect(members.names).toEqual(['b']);
});

test('a process does not judge itself', () => {
  const members = new Members({ leaseMs: LEASE });
  for (let ms = 0; ms <= 3 * LEASE; ms += INTERVAL) {
    members.observe({ self: 'a', beats: [['a', '1']], sentMs: ms, answeredMs: ms });
    expect(members.dead(ms)).toEqual([]);
  }
  expect(members.dueMs).toBe(Infinity);
});
