/**
 * The order of test files for jest, which sorts by the size of the files until it knows their times:
 * long files start first, so that every worker gets some and no worker runs one alone at the end.
 */
const { default: Sequencer } = require('@jest/test-sequencer');

/** Parts of the paths of files that mostly wait: for killed servers, a browser, a model. */
const LONG = [
  '-crash',
  '/browser/',
  'real-engine',
  '/relay',
  'serve-keys',
  'durable-conformance',
  'native/addon',
  '/llama/',
];

module.exports = class LongFirst extends Sequencer {
  /** @param {import('@jest/test-result').Test[]} tests */
  sort(tests) {
    const isLong = ({ path }) => LONG.some((part) => path.includes(part));
    const sorted = super.sort(tests);
    return [...sorted.filter(isLong), ...sorted.filter((test) => !isLong(test))];
  }
};
