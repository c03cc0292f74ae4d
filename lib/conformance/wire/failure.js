/** Exceptions of rules. */

/** The server breaks the rule. */
export class Failure extends Error {
  name = 'Failure';
}

/** The rule cannot be tested in this set-up. */
export class Skip extends Error {
  name = 'Skip';
}

/**
 * @param {unknown} condition
 * @param {string | (() => string)} message the fault if the condition is false
 * @returns {asserts condition}
 */
export function check(condition, message) {
  if (!condition) throw new Failure(typeof message === 'string' ? message : message());
}

/** @param {unknown} value @returns {string} a short form for messages */
export function brief(value) {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 160 ? `${text.slice(0, 120)}...${text.slice(-30)}` : text;
}

/**
 * @param {string} actual
 * @param {string} expected
 * @param {string} subject of the message
 */
export function checkText(actual, expected, subject) {
  if (actual === expected) return;
  let at = 0;
  while (at < actual.length && actual[at] === expected[at]) at += 1;
  const from = Math.max(0, at - 10);
  const part = (/** @type {string} */ text) => brief(text.slice(from, at + 40));
  throw new Failure(
    `${subject} differs from character ${at} on: ${part(actual)} instead of ${part(expected)} ` +
      `(${actual.length} characters, ${expected.length} expected)`,
  );
}
