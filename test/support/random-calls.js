/** Calls with arbitrary arguments, for tests of an object's robustness. */
import { SluiceError } from '../../lib/index.js';
import { randomFrom } from './random.js';

const aborted = AbortSignal.abort(new Error('aborted before'));

/** Values of wrong types and extremes. */
const VALUES = [
  undefined,
  null,
  true,
  0,
  -0,
  1,
  2,
  7,
  -1,
  1.5,
  1e-9,
  2 ** 31,
  2 ** 53,
  1e300,
  NaN,
  Infinity,
  -Infinity,
  5n,
  -1n,
  2n ** 70n,
  '',
  'k',
  'é漢😀',
  '\ud800',
  '__proto__',
  Symbol('value'),
  [],
  ['k', 1],
  {},
  { text: 'chunk' },
  { request_id: 'r' },
  Object.create(null),
  () => 'value',
  async () => 'later',
  () => {
    throw new Error('thrown by a function');
  },
  new Date(0),
  new Map(),
  new Error('a value'),
  aborted,
];

/** @param {number} seed */
export function chooser(seed) {
  const random = randomFrom(seed);
  const below = (count) => Math.floor(random() * count);
  const oneOf = (values) => values[below(values.length)];
  /** Any value, or an object with some of these members. */
  const anything = (names = []) => {
    if (names.length === 0 || random() < 0.5) return oneOf(VALUES);
    const members = names.filter(() => random() < 0.4).map((name) => [name, oneOf(VALUES)]);
    if (random() < 0.1) members.push([`unknown${below(3)}`, 1]);
    return Object.fromEntries(members);
  };
  return { random, below, oneOf, anything };
}

/**
 * Whether a caller can expect an error: it has a code of this package, or the caller caused it itself.
 * @param {unknown} error
 */
function isExpected(error) {
  return (
    error instanceof SluiceError ||
    error === aborted.reason ||
    (error instanceof Error && /^(thrown by a function|a value|left)$/.test(error.message)) ||
    VALUES.includes(error)
  );
}

/**
 * Records the outcomes of calls, and fails for errors that a caller cannot expect.
 */
export class Calls {
  #pending = new Set();
  #faults = [];

  /**
   * @param {string} name of the call
   * @param {() => unknown} call
   * @returns {unknown} its result; undefined when it threw
   */
  make(name, call) {
    let result;
    try {
      result = call();
    } catch (error) {
      this.#check(name, error);
      return undefined;
    }
    if (typeof result?.then === 'function') {
      const settled = result
        .then(
          () => {},
          (error) => this.#check(name, error),
        )
        .finally(() => this.#pending.delete(settled));
      this.#pending.add(settled);
    }
    return result;
  }

  #check(name, error) {
    if (isExpected(error)) return;
    this.#faults.push(`${name}: ${error?.stack ?? String(error)}`);
  }

  /** Resolves when every promise is settled. @throws for unexpected errors */
  async settled() {
    for (const promise of this.#pending) await promise;
    if (this.#faults.length > 0) throw new Error(this.#faults.slice(0, 3).join('\n'));
  }
}

const ROUNDS = 20;

/**
 * Runs `round(choose, calls)` with different seeds; open promises have to settle.
 * @param {(choose: ReturnType<typeof chooser>, calls: Calls) => Promise<void> | void} round
 * @param {number} [count]
 */
export async function randomRounds(round, count = ROUNDS) {
  for (let seed = 1; seed <= count; seed += 1) {
    const calls = new Calls();
    try {
      await round(chooser(seed), calls);
      await calls.settled();
    } catch (error) {
      error.message = `seed ${seed}: ${error.message}`;
      throw error;
    }
  }
}
