/** Gives each test and hook of jest-light-runner its time limit, which the runner does not apply. */
import { addEventHandler } from 'jest-circus';

/** Sufficient for the slowest machine: a longer test hangs. Long runs set their own limit. */
const { SLUICE_TEST_LIMIT_MS = '180000' } = process.env;

/**
 * @param {{fn?: import('@jest/types').Circus.TestFn, timeout?: number}} entry a test or a hook
 * @param {string} title for the error
 */
function limit(entry, title) {
  const { fn, timeout = Number(SLUICE_TEST_LIMIT_MS) } = entry;
  if (fn === undefined) return;
  entry.fn = async () => {
    let timer;
    const late = new Promise((_, reject) => {
      const tooLate = () => reject(new Error(`${title} took longer than ${timeout} ms`));
      timer = setTimeout(tooLate, timeout);
    });
    try {
      return await Promise.race([fn(), late]);
    } finally {
      clearTimeout(timer);
    }
  };
}

addEventHandler(({ name, hookType, testName }, { currentDescribeBlock: block }) => {
  if (name === 'add_test') limit(block.tests.at(-1), testName);
  if (name === 'add_hook') limit(block.hooks.at(-1), hookType);
});

// The runner disconnects its processes at the end; open handles of a test must not keep one alive.
process.once('disconnect', () => process.exit());
